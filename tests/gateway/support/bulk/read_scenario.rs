//! Generated bulk reads, and the responses of a vendor that breaks its
//! contract.

use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::bulk::READS;
use crate::support::{disconnect, reply};

/// How the vendor returns the presence of one id.
#[derive(Debug, Clone, Copy)]
pub enum PresenceForm {
    Plain,
    UpperCaseId,
    UriOnly,
    Duplicated,
    InNextBatch,
    Missing,
}

/// How the vendor responds to a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BatchEnd {
    Answered,
    Rejected(u16),
    Unreadable,
    Disconnected,
}

/// One call, and the vendor's responses to its batches.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub rpc: usize,
    pub gateway: usize,
    pub partial: bool,
    pub forms: Vec<PresenceForm>,
    /// Which ids are repeated, after which one, and whether in upper case.
    pub repeated: Vec<(prop::sample::Index, prop::sample::Index, bool)>,
    /// For each batch: its end, how often it yields to other tasks first, the
    /// number of presences that were not requested, and the shuffle seed.
    pub batches: Vec<(BatchEnd, usize, usize, u64)>,
}

/// The concurrency of each gateway that a scenario can choose.
pub const CONCURRENCY: [usize; 3] = [1, 2, 8];

/// The number of batches of the largest scenario.
const MOST_BATCHES: usize = 5;

pub fn scenario() -> impl Strategy<Value = Scenario> {
    let form = prop_oneof![
        6 => Just(PresenceForm::Plain),
        1 => Just(PresenceForm::UpperCaseId),
        1 => Just(PresenceForm::UriOnly),
        1 => Just(PresenceForm::Duplicated),
        1 => Just(PresenceForm::InNextBatch),
        1 => Just(PresenceForm::Missing),
    ];
    let count = prop_oneof![
        1..5_usize,
        48..53_usize,
        98..103_usize,
        1..=MOST_BATCHES * 50
    ];
    let refused = prop::sample::select(vec![400, 401, 403, 404, 409, 500, 501]);
    let failed = prop_oneof![
        4 => refused.prop_map(BatchEnd::Rejected),
        1 => Just(BatchEnd::Unreadable),
        1 => Just(BatchEnd::Disconnected),
    ];
    // Low enough that all batches of a call succeed often, too.
    let failing = prop::sample::select(vec![0.01, 0.3, 0.9]);
    let batches = failing.prop_flat_map(move |failing| {
        let end = prop::option::weighted(failing, failed.clone());
        let end = end.prop_map(|failed| failed.unwrap_or(BatchEnd::Answered));
        vec((end, 0..30_usize, 0..3_usize, any::<u64>()), MOST_BATCHES)
    });
    (
        0..READS.len(),
        0..CONCURRENCY.len(),
        any::<bool>(),
        count.prop_flat_map(move |count| vec(form.clone(), count)),
        vec(
            any::<(prop::sample::Index, prop::sample::Index, bool)>(),
            0..30,
        ),
        batches,
    )
        .prop_map(
            |(rpc, gateway, partial, forms, repeated, batches)| Scenario {
                rpc,
                gateway,
                partial,
                forms,
                repeated,
                batches,
            },
        )
}

impl Scenario {
    /// The ids without repetitions; some need percent-encoding.
    pub fn distinct(&self) -> Vec<String> {
        (0..self.forms.len())
            .map(|n| match n % 4 {
                0 => format!("00000000-abcd-4000-8000-{n:012}"),
                1 => format!("Mixed-Case-{n}"),
                2 => format!("a/b?c=d&e%2Ff+#{n}"),
                _ => format!("zo\u{eb} {n}"),
            })
            .collect()
    }

    /// The ids of the request, with repetitions.
    pub fn requested(&self) -> Vec<String> {
        let distinct = self.distinct();
        let mut requested: Vec<Vec<String>> = distinct.iter().map(|id| vec![id.clone()]).collect();
        for (what, after, in_upper_case) in &self.repeated {
            let what = what.index(distinct.len());
            // Never before the first occurrence, which gives the order and the spelling.
            let after = what + after.index(distinct.len() - what);
            let id = &distinct[what];
            requested[after].push(if *in_upper_case {
                id.to_ascii_uppercase()
            } else {
                id.clone()
            });
        }
        requested.concat()
    }

    pub fn batch_count(&self) -> usize {
        self.forms.len().div_ceil(50)
    }

    /// The presences in the response to a batch, each with a unique message.
    pub fn presences(&self, batch: usize) -> Vec<Value> {
        let distinct = self.distinct();
        let count = self.batch_count();
        let mut presences = Vec::new();
        for (position, (id, form)) in distinct.iter().zip(&self.forms).enumerate() {
            let uri = utf8_percent_encode(id, NON_ALPHANUMERIC);
            let uri = format!("/api/v2/users/{uri}/presences/purecloud");
            let plain = json!({"userId": id, "selfUri": uri});
            let in_batch = match form {
                PresenceForm::InNextBatch => (position / 50 + 1) % count,
                _ => position / 50,
            };
            if in_batch != batch {
                continue;
            }
            match form {
                PresenceForm::Plain | PresenceForm::InNextBatch => presences.push(plain),
                PresenceForm::UpperCaseId => {
                    presences.push(json!({"userId": id.to_ascii_uppercase()}));
                }
                PresenceForm::UriOnly => presences.push(json!({"selfUri": uri})),
                PresenceForm::Duplicated => presences.extend([plain.clone(), plain]),
                PresenceForm::Missing => {}
            }
        }
        let (_, _, unrequested, seed) = self.batches[batch];
        let others = [
            json!({"userId": "unrequested", "selfUri": format!("/api/v2/users/{}/x", distinct[0])}),
            json!({"selfUri": "/api/v2/presencedefinitions/x"}),
        ];
        presences.extend(others.into_iter().take(unrequested));
        shuffle(&mut presences, seed);
        for (number, presence) in presences.iter_mut().enumerate() {
            presence["message"] = json!(format!("{batch}.{number}"));
        }
        presences
    }

    pub fn response(&self, batch: usize) -> Response {
        match self.batches[batch].0 {
            BatchEnd::Answered => {
                let mut presences = self.presences(batch);
                // The gateway ignores a `null` element.
                presences.insert(presences.len() / 2, Value::Null);
                reply(200, Value::Array(presences).to_string())
            }
            BatchEnd::Rejected(status) => {
                reply(status, json!({"code": format!("c.{status}")}).to_string())
            }
            BatchEnd::Unreadable => reply(200, "{}"),
            BatchEnd::Disconnected => disconnect(),
        }
    }
}

/// The code and the reason of a batch's failure; none if it succeeded.
pub fn failure(end: BatchEnd) -> Option<(Code, String)> {
    let (code, reason) = match end {
        BatchEnd::Answered => return None,
        BatchEnd::Unreadable => (Code::Internal, "UNREADABLE_ANSWER".to_owned()),
        BatchEnd::Disconnected => (Code::Unavailable, "UPSTREAM_CONNECTION_LOST".to_owned()),
        BatchEnd::Rejected(status) => {
            let code = match status {
                400 => Code::InvalidArgument,
                401 => Code::Unauthenticated,
                403 => Code::PermissionDenied,
                404 => Code::NotFound,
                409 => Code::Aborted,
                501 => Code::Unimplemented,
                _ => Code::Internal,
            };
            (code, format!("C_{status}"))
        }
    };
    Some((code, reason))
}

fn shuffle<T>(list: &mut [T], mut seed: u64) {
    for last in (1..list.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let other = usize::try_from(seed >> 33).unwrap() % (last + 1);
        list.swap(last, other);
    }
}
