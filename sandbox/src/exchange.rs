//! The way of one request: received, let in, made wrong if so asked, answered.

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{HeaderMap, Method, Request, Uri, header};
use parking_lot::MutexGuard;
use tokio::time::{Instant, sleep};

use super::misbehave::Plan;
use super::payload::{self, Payload};
use super::query::Query;
use super::refusal::{Refusal, too_many_requests};
use super::reply::Reply;
use super::routes::{self, Answer, Call, Operation, Permissions};
use super::state::State;
use super::{Sandbox, control, identity, misbehave, oauth};

/// The header that asks for a wrong answer to the request that has it.
const MISBEHAVE: &str = "x-sandbox-misbehave";

/// A request, received whole.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) query: Query,
}

/// What a request that was let in asks for.
enum Wanted {
    Operation(&'static Operation, Vec<String>),
    Token,
}

/// Answers any request.
pub(super) async fn exchange(
    Extract(sandbox): Extract<Sandbox>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let asked = Asked {
        query: Query::read(parts.uri.query().unwrap_or_default()),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        payload: payload::receive(body).await,
    };
    let path = asked.uri.path();
    if path == "/sandbox" || path.starts_with("/sandbox/") {
        return control::answer(&sandbox, &asked);
    }
    sandbox.answer(&asked).await
}

impl Sandbox {
    async fn answer(&self, asked: &Asked) -> Response {
        let correlation = identity::fresh();
        let number = self.received(asked, &correlation);
        let (wanted, plan) = match self.let_in(asked, number) {
            Ok(let_in) => let_in,
            Err(refusal) => {
                sleep(self.shared.settings.latency).await;
                let reply = refusal.into_reply(&correlation);
                self.lock().journal.answered(number, reply.status);
                return reply.into_response(&correlation);
            }
        };
        let applied_first = plan.applies_first();
        let early = applied_first.then(|| self.perform(asked, &wanted, &correlation));
        sleep(self.shared.settings.latency.saturating_add(plan.delay())).await;
        let reply = match early {
            Some(reply) => reply,
            None if plan.needs_answer(asked.method == Method::GET) => {
                self.perform(asked, &wanted, &correlation)
            }
            None => misbehave::stand_in(),
        };
        let reply = plan.reshape(reply, &correlation);
        if let Some(status) = plan.visible_status(&reply) {
            self.lock().journal.answered(number, status);
        }
        plan.deliver(reply, &correlation).await
    }

    /// Remembers the request in the journal; gives its number there.
    fn received(&self, asked: &Asked, correlation: &str) -> u64 {
        let label = bearer(&asked.headers).map(identity::token_label);
        self.lock().journal.received(
            asked.method.as_str(),
            asked.uri.path(),
            asked.query.pairs(),
            label.as_deref(),
            correlation,
        )
    }

    /// Checks the path, the token and its limit; says how wrong the answer is to be.
    fn let_in(&self, asked: &Asked, number: u64) -> Result<(Wanted, Plan), Refusal> {
        let (method, path) = (asked.method.as_str(), asked.uri.path());
        let token = bearer(&asked.headers);
        let mut state = self.lock();
        let wanted = if path == "/oauth/token" {
            Wanted::Token
        } else {
            let (operation, variables) = routes::find(method, path)?;
            state.journal.called(number, operation.name);
            let token = token.ok_or_else(|| Refusal::of_status(401))?;
            if token == "expired" {
                let message = "The supplied credentials are expired and cannot be used.";
                return Err(Refusal::new(401, "credentials.expired", message));
            }
            state
                .limits
                .spend(identity::token_hash(token), Instant::now())
                .map_err(too_many_requests)?;
            if token == "forbidden" {
                return Err(forbidden(&operation.permissions));
            }
            Wanted::Operation(operation, variables)
        };
        let plan = match asked.headers.get(MISBEHAVE) {
            Some(value) => Plan::read(value.to_str().unwrap_or_default())
                .map_err(|wrong| Refusal::field("bad.request", "X-Sandbox-Misbehave", &wrong))?,
            None => state.rules.apply(method, path, token).unwrap_or_default(),
        };
        if !plan.text().is_empty() {
            state.journal.misbehaved(number, plan.text());
        }
        Ok((wanted, plan))
    }

    fn perform(&self, asked: &Asked, wanted: &Wanted, correlation: &str) -> Reply {
        match wanted {
            Wanted::Token => oauth::token(asked),
            Wanted::Operation(operation, variables) => self
                .run(asked, operation, variables)
                .unwrap_or_else(|refusal| refusal.into_reply(correlation)),
        }
    }

    fn run(&self, asked: &Asked, operation: &Operation, variables: &[String]) -> Answer {
        asked.payload.bytes()?;
        let body = match operation.body {
            Some(shape) => Some((asked.payload.json(&asked.headers)?, shape)),
            None => None,
        };
        let mut state = self.lock();
        (operation.run)(&mut Call {
            settings: &self.shared.settings,
            state: &mut state,
            variables,
            query: &asked.query,
            body,
        })
    }

    /// The state, for as long as no await comes between.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }
}

/// The token of a request, where it has one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// 403 that names what is missing.
fn forbidden(permissions: &Permissions) -> Refusal {
    let (code, template, names) = match permissions {
        Permissions::None => return Refusal::of_status(403),
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
    Refusal::templated(403, code, template, &[("permissions", &names.join(", "))])
}
