//! The handler of every request: receive, admit, run, inject a fault, respond.

use std::cell::LazyCell;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{HeaderMap, Method, Request, header};
use hyper::upgrade::OnUpgrade;
use parking_lot::MutexGuard;
use tokio::time::{Instant, sleep};

use super::api_error::{ApiError, too_many_requests};
use super::misbehave::Plan;
use super::notifications::upgrade;
use super::operation::{HandlerResult, Operation, OperationRequest, Permissions, Token};
use super::payload;
use super::query::Query;
use super::reply::Reply;
use super::request::{LocalAddress, ReceivedRequest};
use super::routes;
use super::state::State;
use super::{Sandbox, control, ids, misbehave, oauth};

/// The request header that injects faults into its own response.
const MISBEHAVE: &str = "x-sandbox-misbehave";

/// The target of an admitted request.
enum Target {
    Operation(&'static Operation, Vec<String>),
    Token,
    /// The WebSocket of the channel with this id.
    WebSocket(String),
}

impl Target {
    /// The ids that a request names, in its path or in its list.
    fn named_ids(&self, request: &ReceivedRequest) -> Vec<String> {
        let mut ids = request.listed_ids();
        if let Self::Operation(_, variables) = self {
            ids.extend_from_slice(variables);
        }
        ids
    }
}

/// Handles any request.
pub(super) async fn handle(Extract(sandbox): Extract<Sandbox>, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    let request = ReceivedRequest {
        query: Query::read(parts.uri.query().unwrap_or_default()),
        version: parts.version,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        payload: payload::receive(body).await,
        local: parts.extensions.get().map(|LocalAddress(local)| *local),
    };
    if control::is_own(&request) {
        return control::answer(&sandbox, &request);
    }
    let response = sandbox.answer(&request).await;
    upgrade::connect(&sandbox, &request, response, on_upgrade)
}

impl Sandbox {
    async fn answer(&self, request: &ReceivedRequest) -> Response {
        let correlation = ids::fresh();
        let number = self.received(request, &correlation);
        let (target, plan) = match self.admit(request, number) {
            Ok(admit) => admit,
            Err(api_error) => {
                sleep(self.shared.settings.latency).await;
                let reply = api_error.into_reply(&correlation);
                self.lock().journal.answered(number, reply.status);
                return reply.into_response(&correlation);
            }
        };
        let applied_first = plan.applies_first();
        let early = applied_first.then(|| self.perform(request, &target, &correlation));
        sleep(self.shared.settings.latency.saturating_add(plan.delay())).await;
        let reply = match early {
            Some(reply) => reply,
            None if plan.needs_answer(request.method == Method::GET) => {
                self.perform(request, &target, &correlation)
            }
            None => misbehave::stand_in(),
        };
        let reply = plan.reshape(reply, &correlation);
        if let Some(status) = plan.visible_status(&reply) {
            self.lock().journal.answered(number, status);
        }
        plan.deliver(reply, &correlation).await
    }

    /// Records the request in the journal, and returns its number.
    fn received(&self, request: &ReceivedRequest, correlation: &str) -> u64 {
        let mut state = self.lock();
        let label = match upgrade::channel(request) {
            Some(id) => state.channels.label(&id),
            None => bearer(&request.headers).map(ids::token_label),
        };
        state.journal.received(
            request.method.as_str(),
            request.uri.path(),
            request.query.pairs(),
            label.as_deref(),
            correlation,
        )
    }

    /// Checks the path, the token and its rate limit, and returns the faults to inject.
    fn admit(&self, request: &ReceivedRequest, number: u64) -> Result<(Target, Plan), ApiError> {
        let (method, path) = (request.method.as_str(), request.uri.path());
        let mut token = bearer(&request.headers).map(ids::token_hash);
        let mut state = self.lock();
        let target = if let Some(id) = upgrade::channel(request) {
            state.journal.called(number, upgrade::NAME);
            // Clients send no token: that of the channel counts.
            token = state.channels.token(&id);
            Target::WebSocket(id)
        } else if path == "/oauth/token" {
            Target::Token
        } else {
            let (operation, variables) = routes::find(method, path)?;
            state.journal.called(number, operation.name);
            let hash = token.ok_or_else(|| ApiError::from_status(401))?;
            let text = bearer(&request.headers);
            if text == Some("expired") {
                let message = "The supplied credentials are expired and cannot be used.";
                return Err(ApiError::new(401, "credentials.expired", message));
            }
            if state.revoked.contains(hash) {
                return Err(ApiError::bad_credentials());
            }
            state
                .limits
                .spend(hash, Instant::now())
                .map_err(too_many_requests)?;
            if text == Some("forbidden") {
                return Err(forbidden(&operation.permissions));
            }
            Target::Operation(operation, variables)
        };
        let plan = if let Some(value) = request.headers.get(MISBEHAVE) {
            Plan::read(value.to_str().unwrap_or_default()).map_err(|wrong| {
                ApiError::field("bad.request", "X-Sandbox-Misbehave", &wrong.to_string())
            })?
        } else {
            let ids = LazyCell::new(|| target.named_ids(request));
            let names = |id: &str| ids.iter().any(|named| named.eq_ignore_ascii_case(id));
            let plan = state.rules.apply(method, path, token, names);
            plan.unwrap_or_default()
        };
        if !plan.text().is_empty() {
            state.journal.misbehaved(number, plan.text());
        }
        Ok((target, plan))
    }

    fn perform(&self, request: &ReceivedRequest, target: &Target, correlation: &str) -> Reply {
        match target {
            Target::Token => oauth::token(request),
            Target::WebSocket(id) => upgrade::accept(self, request, id)
                .unwrap_or_else(|api_error| api_error.into_reply(correlation)),
            Target::Operation(operation, variables) => self
                .run(request, operation, variables, correlation)
                .unwrap_or_else(|api_error| api_error.into_reply(correlation)),
        }
    }

    fn run(
        &self,
        request: &ReceivedRequest,
        operation: &Operation,
        variables: &[String],
        correlation: &str,
    ) -> HandlerResult {
        request.payload.bytes()?;
        let body = match operation.body {
            Some(shape) => Some((request.payload.json(&request.headers)?, shape)),
            None => None,
        };
        let mut state = self.lock();
        (operation.run)(&mut OperationRequest {
            settings: &self.shared.settings,
            state: &mut state,
            variables,
            query: &request.query,
            body,
            token: bearer(&request.headers)
                .map(|token| Token {
                    hash: ids::token_hash(token),
                    label: ids::token_label(token),
                })
                .unwrap_or_default(),
            origin: request.websocket_origin(),
            correlation,
        })
    }

    /// Locks the state. Never held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }
}

/// The bearer token of a request, if any.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// 403 that names the missing permissions.
fn forbidden(permissions: &Permissions) -> ApiError {
    let (code, template, names) = match permissions {
        Permissions::None => return ApiError::from_status(403),
        Permissions::All(names) => (
            "missing.permissions",
            "Unable to perform the requested action. You are missing the following permission(s): \
             {permissions}",
            names,
        ),
        Permissions::Any(names) => (
            "missing.any.permissions",
            "Unable to perform the requested action. You must have at least one of the following \
             permissions assigned: {permissions}",
            names,
        ),
    };
    ApiError::templated(403, code, template, &[("permissions", &names.join(", "))])
}
