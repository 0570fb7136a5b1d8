//! The composition root: builds the gateway's server from its parts, in one place.

use crate::bulk::{BatchCoalescer, BulkContext};
use crate::config::{Limits, SharedBudget};
use crate::grpc::Gateway;
use crate::server::Server;
use crate::telemetry::{BudgetDecisions, Telemetry, WatchCounts};
use crate::token_key::TokenHasher;
use crate::upstream::Upstream;
use crate::upstream::budget_store::BudgetStore;
use crate::upstream::client::{ClientOptions, RotatingClient};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::rate_limit::RateLimiter;
use crate::upstream::regional::Regional;
use crate::watch::Watches;

/// Builds the gRPC server in front of the upstreams, without its ports. They share the
/// settings of the client, and nothing that is kept for a token.
///
/// # Errors
///
/// If the system has no trusted authorities.
pub async fn server(
    upstreams: Regional<Endpoint>,
    client: ClientOptions,
    limits: Limits,
    budget: Option<SharedBudget>,
    telemetry: Telemetry,
) -> Result<Server, String> {
    let (store, token_hasher) = match budget {
        Some(SharedBudget { store, hasher, .. }) => {
            let decisions = BudgetDecisions::default();
            telemetry.observe_budget(decisions.clone());
            (Some(BudgetStore::start(store, decisions).await), hasher)
        }
        None => (None, TokenHasher::default()),
    };
    let counts = WatchCounts::default();
    telemetry.observe_watches(&counts);
    let clients = RotatingClient::new(upstreams.first(), client)?;
    let services = upstreams.map(|endpoint| {
        let mut rate_limiter = RateLimiter::new(limits.token_requests_per_minute);
        if let Some(store) = &store {
            rate_limiter = rate_limiter.with_store(store.scoped(&endpoint.to_string()));
        }
        let clients = clients.for_endpoint(&endpoint);
        clients.negotiate();
        let mut upstream = Upstream::new(endpoint, clients, rate_limiter);
        if limits.share_reads {
            upstream = upstream.with_coalesced_reads();
        }
        let concurrency = limits.bulk.concurrency;
        let watches = Watches::new(upstream.clone(), limits.watch, concurrency, counts.clone());
        let bulk = BulkContext {
            upstream,
            limits: limits.bulk,
            coalescer: limits.bulk_merge_window.map(BatchCoalescer::new),
        };
        let gateway = Gateway::new(bulk, watches);
        move |context, request| gateway.call(context, request)
    });
    let server = Server::new(services, limits.calls, token_hasher, telemetry).await;
    server.map_err(|error| error.to_string())
}
