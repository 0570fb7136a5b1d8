//! What the two mappings take by themselves: a request to its REST call, and
//! the vendor's answer to its message.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use presence_gateway::operation::{Operation, decode, encode};
use presence_gateway::proto::v1::{
    GetUserPresencesPurecloudRequest, GetUsersPresencesPurecloudBulkRequest,
};

use super::direct::Direct;
use super::series::Series;
use super::way::Work;
use crate::caller::Tokens;
use crate::scenario::table::Figures;

/// How often each is measured, and for how long.
const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(100);

pub(super) async fn run(vendor: SocketAddr) -> Result<Figures, String> {
    let mut figures = Figures::of("micro-benchmarks");
    let of = |work: Work| Direct::new(vendor, work.questions(), Tokens::new("token", 1));
    let (single, bulk) = (of(Work::Unary).any().await?, of(Work::Bulk).any().await?);
    let ids: Vec<String> = (0..50)
        .map(|number| format!("00000000-0000-4000-8000-{number:012}"))
        .collect();
    let one = GetUserPresencesPurecloudRequest {
        user_id: ids[0].clone(),
    };
    let many = GetUsersPresencesPurecloudBulkRequest {
        ids,
        ..GetUsersPresencesPurecloudBulkRequest::default()
    };
    figures.tell("encode a single read", &encoding(&one));
    figures.tell("encode a bulk read of 50", &encoding(&many));
    let told = decoding::<GetUserPresencesPurecloudRequest>(&single);
    figures.tell("decode a presence", &told);
    let told = decoding::<GetUsersPresencesPurecloudBulkRequest>(&bulk);
    figures.tell("decode 50 presences", &told);
    Ok(figures)
}

fn encoding<O: Operation>(request: &O) -> String {
    measured(|| encode(black_box(request)).is_ok())
}

fn decoding<O: Operation>(body: &[u8]) -> String {
    let took = measured(|| decode::<O>(black_box(body)).is_ok());
    format!("{took}, {} bytes", body.len())
}

/// Microseconds for each time that it is done.
fn measured(done: impl Fn() -> bool) -> String {
    let mut took = Series::default();
    for _ in 0..ROUNDS {
        let (begun, mut times) = (Instant::now(), 0_u32);
        while begun.elapsed() < TIME {
            if !done() {
                return "FAILED".to_owned();
            }
            times += 1;
        }
        took.add(begun.elapsed().as_secs_f64() * 1e6 / f64::from(times));
    }
    format!("{} us", took.told(2))
}
