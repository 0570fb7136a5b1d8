//! What a vendor that keeps to nothing makes of a bulk read.

use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::bulk::READS;
use crate::support::{disconnect, reply};

/// How the vendor answers for one id.
#[derive(Debug, Clone, Copy)]
pub enum Told {
    Plainly,
    InCapitals,
    ByUriAlone,
    Twice,
    InTheNextBatch,
    Never,
}

/// How the vendor answers a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    Answered,
    Refused(u16),
    Unreadable,
    Cut,
}

/// One call, and what the vendor makes of it.
#[derive(Debug, Clone)]
pub struct Scene {
    pub rpc: usize,
    pub gateway: usize,
    pub partial: bool,
    pub told: Vec<Told>,
    /// Which ids are asked once more, after which one, and whether in capitals.
    pub repeated: Vec<(prop::sample::Index, prop::sample::Index, bool)>,
    /// For each batch: its end, how often others get their turn before it,
    /// how many strangers are in it, and what it is shuffled by.
    pub batches: Vec<(End, usize, usize, u64)>,
}

/// The gateways that a scene can be played by, as they differ.
pub const CONCURRENCY: [usize; 3] = [1, 2, 8];

/// As many batches as the largest scene has.
const MOST_BATCHES: usize = 5;

pub fn scene() -> impl Strategy<Value = Scene> {
    let told = prop_oneof![
        6 => Just(Told::Plainly),
        1 => Just(Told::InCapitals),
        1 => Just(Told::ByUriAlone),
        1 => Just(Told::Twice),
        1 => Just(Told::InTheNextBatch),
        1 => Just(Told::Never),
    ];
    let count = prop_oneof![
        1..5_usize,
        48..53_usize,
        98..103_usize,
        1..=MOST_BATCHES * 50
    ];
    let refused = prop::sample::select(vec![400, 401, 403, 404, 409, 500, 501]);
    let failed = prop_oneof![
        4 => refused.prop_map(End::Refused),
        1 => Just(End::Unreadable),
        1 => Just(End::Cut),
    ];
    // Of a call of several batches, all shall succeed often enough.
    let failing = prop::sample::select(vec![0.01, 0.3, 0.9]);
    let batches = failing.prop_flat_map(move |failing| {
        let end = prop::option::weighted(failing, failed.clone());
        let end = end.prop_map(|failed| failed.unwrap_or(End::Answered));
        vec((end, 0..30_usize, 0..3_usize, any::<u64>()), MOST_BATCHES)
    });
    (
        0..READS.len(),
        0..CONCURRENCY.len(),
        any::<bool>(),
        count.prop_flat_map(move |count| vec(told.clone(), count)),
        vec(
            any::<(prop::sample::Index, prop::sample::Index, bool)>(),
            0..30,
        ),
        batches,
    )
        .prop_map(|(rpc, gateway, partial, told, repeated, batches)| Scene {
            rpc,
            gateway,
            partial,
            told,
            repeated,
            batches,
        })
}

impl Scene {
    /// The ids without repetitions, some of which are awkward.
    pub fn distinct(&self) -> Vec<String> {
        (0..self.told.len())
            .map(|n| match n % 4 {
                0 => format!("00000000-abcd-4000-8000-{n:012}"),
                1 => format!("Mixed-Case-{n}"),
                2 => format!("a/b?c=d&e%2Ff+#{n}"),
                _ => format!("zo\u{eb} {n}"),
            })
            .collect()
    }

    /// The ids as they are asked.
    pub fn asked(&self) -> Vec<String> {
        let distinct = self.distinct();
        let mut asked: Vec<Vec<String>> = distinct.iter().map(|id| vec![id.clone()]).collect();
        for (what, after, in_capitals) in &self.repeated {
            let what = what.index(distinct.len());
            // Never before the first time, which gives the order and the spelling.
            let after = what + after.index(distinct.len() - what);
            let id = &distinct[what];
            asked[after].push(if *in_capitals {
                id.to_ascii_uppercase()
            } else {
                id.clone()
            });
        }
        asked.concat()
    }

    pub fn batch_count(&self) -> usize {
        self.told.len().div_ceil(50)
    }

    /// What the vendor answers a batch with, a mark of its own in each presence.
    pub fn presences(&self, batch: usize) -> Vec<Value> {
        let distinct = self.distinct();
        let count = self.batch_count();
        let mut presences = Vec::new();
        for (place, (id, told)) in distinct.iter().zip(&self.told).enumerate() {
            let uri = utf8_percent_encode(id, NON_ALPHANUMERIC);
            let uri = format!("/api/v2/users/{uri}/presences/purecloud");
            let plain = json!({"userId": id, "selfUri": uri});
            let told_in = match told {
                Told::InTheNextBatch => (place / 50 + 1) % count,
                _ => place / 50,
            };
            if told_in != batch {
                continue;
            }
            match told {
                Told::Plainly | Told::InTheNextBatch => presences.push(plain),
                Told::InCapitals => presences.push(json!({"userId": id.to_ascii_uppercase()})),
                Told::ByUriAlone => presences.push(json!({"selfUri": uri})),
                Told::Twice => presences.extend([plain.clone(), plain]),
                Told::Never => {}
            }
        }
        let (_, _, strangers, seed) = self.batches[batch];
        let strange = [
            json!({"userId": "stranger", "selfUri": format!("/api/v2/users/{}/x", distinct[0])}),
            json!({"selfUri": "/api/v2/presencedefinitions/x"}),
        ];
        presences.extend(strange.into_iter().take(strangers));
        shuffle(&mut presences, seed);
        for (number, presence) in presences.iter_mut().enumerate() {
            presence["message"] = json!(format!("{batch}.{number}"));
        }
        presences
    }

    pub fn answer(&self, batch: usize) -> Response {
        match self.batches[batch].0 {
            End::Answered => {
                let mut presences = self.presences(batch);
                // An element that is `null` is as good as none.
                presences.insert(presences.len() / 2, Value::Null);
                reply(200, Value::Array(presences).to_string())
            }
            End::Refused(status) => {
                reply(status, json!({"code": format!("c.{status}")}).to_string())
            }
            End::Unreadable => reply(200, "{}"),
            End::Cut => disconnect(),
        }
    }
}

/// The code and the reason of a batch's failure; none where it was answered.
pub fn failure(end: End) -> Option<(Code, String)> {
    let (code, reason) = match end {
        End::Answered => return None,
        End::Unreadable => (Code::Internal, "UNREADABLE_ANSWER".to_owned()),
        End::Cut => (Code::Unavailable, "UPSTREAM_CONNECTION_LOST".to_owned()),
        End::Refused(status) => {
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
