//! A check in flight, which gives back what it takes for a call that has gone on
//! without it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use redis::RedisResult;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::link::Link;
use super::script::{Amendment, Kind, Outcome, Reply, Request, record_name};
use crate::token_key::TokenKey;

type InFlight = Pin<Box<dyn Future<Output = RedisResult<Reply>> + Send>>;

/// A check in flight. One that is dropped goes on in a task, until its reply or
/// until the connection ends: the server may have run it already.
pub(super) struct Check {
    link: Arc<Link>,
    token: TokenKey,
    kind: Kind,
    sent: Instant,
    in_flight: Option<InFlight>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").finish_non_exhaustive()
    }
}

impl Check {
    pub(super) fn start(link: &Arc<Link>, token: TokenKey, request: Request) -> Self {
        let mut connection = link.connection();
        let in_flight = async move { request.run(&record_name(token), &mut connection).await };
        Self {
            link: Arc::clone(link),
            token,
            kind: request.kind,
            sent: Instant::now(),
            in_flight: Some(Box::pin(in_flight)),
        }
    }
}

impl Future for Check {
    type Output = RedisResult<Reply>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(in_flight) = &mut self.in_flight else {
            return Poll::Pending;
        };
        let reply = in_flight.as_mut().poll(context);
        if let Poll::Ready(reply) = &reply {
            self.in_flight = None;
            if let Ok(reply) = reply {
                self.link.record_reply(reply.now, self.sent);
            }
        }
        reply
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        let (Some(in_flight), Ok(runtime)) = (self.in_flight.take(), Handle::try_current()) else {
            return;
        };
        let (link, token, kind) = (Arc::clone(&self.link), self.token, self.kind);
        #[expect(
            clippy::disallowed_methods,
            reason = "what the call has taken is given back after it; the reply has a time limit"
        )]
        runtime.spawn(async move {
            if let Ok(Reply {
                outcome: Outcome::Taken(turns),
                ..
            }) = in_flight.await
                && !turns.is_empty()
            {
                let taken: Vec<_> = turns.iter().filter_map(|turn| turn.stored).collect();
                let amendment = match kind {
                    // The request still has the turn.
                    Kind::Confirm(Some(turn)) if taken == [turn] => return,
                    Kind::Confirm(turn) => Amendment {
                        remove: taken,
                        known: turn.into_iter().collect(),
                        ..Amendment::default()
                    },
                    Kind::Take(..) => Amendment {
                        remove: taken,
                        ..Amendment::default()
                    },
                };
                // On its own connection, also if that was given up meanwhile.
                let _ = link.amend(token, &amendment).await;
            }
        });
    }
}
