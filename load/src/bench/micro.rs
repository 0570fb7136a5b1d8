//! The processor time of the two mappings alone: a message to its REST request,
//! and the vendor's JSON to an encoded message.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use presence_gateway::operation::{Operation, decode, encode};
use presence_gateway::proto::v1::{
    GetUserPresencesPurecloudRequest, GetUsersPresencesPurecloudBulkRequest,
};

use super::direct::Direct;
use super::rounds::Workload;
use super::series::Series;
use crate::caller::Tokens;
use crate::scenario::table::Figures;

/// The number of rounds, and the time of each.
const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(100);

pub(super) async fn run(vendor: SocketAddr) -> Result<Figures, String> {
    let mut figures = Figures::new("micro-benchmarks");
    let of = |work: Workload| Direct::new(vendor, work.queries(), Tokens::new("token", 1));
    let (single, bulk) = (
        of(Workload::Unary).any().await?,
        of(Workload::Bulk).any().await?,
    );
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
    figures.report("encode a single read", &encoding(&one));
    figures.report("encode a bulk read of 50", &encoding(&many));
    let time_and_size = decoding::<GetUserPresencesPurecloudRequest>(&single);
    figures.report("decode a presence", &time_and_size);
    let time_and_size = decoding::<GetUsersPresencesPurecloudBulkRequest>(&bulk);
    figures.report("decode 50 presences", &time_and_size);
    Ok(figures)
}

fn encoding<O: Operation>(request: &O) -> String {
    measured(|| encode(black_box(request)).is_ok())
}

fn decoding<O: Operation>(body: &[u8]) -> String {
    let took = measured(|| decode(O::SPEC, black_box(body)).is_ok());
    format!("{took}, {} bytes", body.len())
}

/// The microseconds of one execution.
fn measured(done: impl Fn() -> bool) -> String {
    let mut took = Series::default();
    for _ in 0..ROUNDS {
        let (begun, mut latencies) = (Instant::now(), 0_u32);
        while begun.elapsed() < TIME {
            if !done() {
                return "FAILED".to_owned();
            }
            latencies += 1;
        }
        took.add(begun.elapsed().as_secs_f64() * 1e6 / f64::from(latencies));
    }
    format!("{} us", took.summary(2))
}
