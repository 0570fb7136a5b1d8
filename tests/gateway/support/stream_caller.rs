//! A caller of streams.

use std::time::Duration;

use futures_util::stream;
use presence_gateway::proto::v1::{
    StreamProgress, StreamUsersPresenceBulkRequest, StreamUsersPresenceBulkResponse,
    StreamUsersPresencesPurecloudBulkRequest,
};
use tokio::sync::mpsc;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::support::in_flight::wait_for;
use crate::support::{Gateway, assert_well_formed, method, path};

/// The two streams; the source of the first is `a/b`.
pub const STREAMS: [&str; 2] = [
    "StreamUsersPresenceBulk",
    "StreamUsersPresencesPurecloudBulk",
];

/// What comes back: both responses are the same on the wire.
pub type Results = StreamUsersPresenceBulkResponse;

/// How many these are, as the progress counts.
pub fn count<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap()
}

/// A stream that is open.
pub struct StreamCall {
    is_purecloud: bool,
    asking: Option<mpsc::Sender<Vec<u8>>>,
    is_first: bool,
    results: Streaming<Results>,
    end: Option<Status>,
}

/// All that was told.
#[derive(Debug)]
pub struct StreamOutcome {
    pub users: Vec<String>,
    pub missing: Vec<String>,
    /// The reason of each failure, with its ids.
    pub failures: Vec<(String, Vec<String>)>,
    pub progress: StreamProgress,
    pub status: Result<(), Status>,
}

impl StreamOutcome {
    pub fn failed_with(&self, reason: &str) -> Vec<String> {
        let failures = self.failures.iter().filter(|(why, _)| why == reason);
        failures.flat_map(|(_, ids)| ids.clone()).collect()
    }

    /// Every id that was named, as often as it was.
    pub fn named(&self) -> Vec<String> {
        let failed = self.failures.iter().flat_map(|(_, ids)| ids);
        let named = self.users.iter().chain(&self.missing).chain(failed);
        let mut named: Vec<String> = named.cloned().collect();
        named.sort();
        named
    }
}

/// What results say of users.
pub trait ResultsExt {
    /// The users who were found.
    fn users(&self) -> Vec<String>;
    /// The reason of each failure, with its ids.
    fn failed(&self) -> Vec<(String, Vec<String>)>;
}

impl ResultsExt for Results {
    fn users(&self) -> Vec<String> {
        let users = self.presences.iter().map(|presence| &presence.user_id);
        users.map(|id| id.clone().unwrap_or_default()).collect()
    }

    fn failed(&self) -> Vec<(String, Vec<String>)> {
        let failures = self.failures.iter().map(|failure| {
            let status = failure.status.clone().unwrap();
            let code = Code::from_i32(status.code);
            let status = prost::Message::encode_to_vec(&status);
            let status = Status::with_details(code, "", status.into());
            let info = status.get_details_error_info().unwrap();
            (info.reason, failure.ids.clone())
        });
        failures.collect()
    }
}

impl StreamCall {
    pub async fn open(gateway: &Gateway, rpc: &str) -> Self {
        Self::open_with_deadline(gateway, rpc, None).await
    }

    pub async fn open_with_deadline(
        gateway: &Gateway,
        rpc: &str,
        deadline: Option<Duration>,
    ) -> Self {
        Self::try_open(gateway, rpc, deadline, Some("Bearer token"))
            .await
            .unwrap()
    }

    pub async fn try_open(
        gateway: &Gateway,
        rpc: &str,
        deadline: Option<Duration>,
        token: Option<&str>,
    ) -> Result<Self, Status> {
        let (asking, mut asked) = mpsc::channel::<Vec<u8>>(1);
        let asked = stream::poll_fn(move |context| asked.poll_recv(context));
        let mut request = Request::new(asked);
        if let Some(token) = token {
            request
                .metadata_mut()
                .insert("authorization", token.parse().unwrap());
        }
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        let mut client = tonic::client::Grpc::new(gateway.channel.clone());
        client.ready().await.unwrap();
        let path = path(&method(rpc)).parse().unwrap();
        let opened = client.streaming(request, path, Encoded);
        let opened = wait_for("the answer's headers", opened).await?;
        Ok(Self {
            is_purecloud: rpc == STREAMS[1],
            asking: Some(asking),
            is_first: true,
            results: opened.into_inner(),
            end: None,
        })
    }

    /// Asks for these ids.
    pub async fn send(&mut self, ids: Vec<String>) {
        self.send_first(ids, false).await;
    }

    /// Asks for these ids, with what the first message says besides.
    pub async fn send_first(&mut self, ids: Vec<String>, unordered: bool) {
        let source = if self.is_first { "a/b" } else { "" };
        self.is_first = false;
        self.send_for_source(source, ids, unordered).await;
    }

    pub async fn send_for_source(&mut self, source: &str, ids: Vec<String>, unordered: bool) {
        let message = if self.is_purecloud {
            prost::Message::encode_to_vec(&StreamUsersPresencesPurecloudBulkRequest {
                ids,
                unordered,
            })
        } else {
            let source_id = source.to_owned();
            prost::Message::encode_to_vec(&StreamUsersPresenceBulkRequest {
                source_id,
                ids,
                unordered,
            })
        };
        self.send_raw(message).await;
    }

    /// Sends this as a message. A stream that has ended takes none.
    pub async fn send_raw(&mut self, message: Vec<u8>) {
        if let Some(asking) = &self.asking {
            let _ = wait_for("room for a message", asking.send(message)).await;
        }
    }

    /// Says that nothing more is asked.
    pub fn close_send(&mut self) {
        self.asking = None;
    }

    /// Cancels it, without an end of what is asked.
    pub fn cancel(self) {
        drop(self.results);
        drop(self.asking);
    }

    /// The next results; none at the end.
    pub async fn next(&mut self) -> Option<Results> {
        match wait_for("results", self.results.message()).await {
            Ok(results) => results,
            Err(status) => {
                assert_well_formed(&status);
                self.end = Some(status);
                None
            }
        }
    }

    /// How the stream ended, after the last of its results.
    pub async fn status(mut self) -> Result<(), Status> {
        while self.next().await.is_some() {}
        self.end.map_or(Ok(()), Err)
    }

    /// All that is told from now on, until the end.
    pub async fn all(mut self) -> StreamOutcome {
        let mut told = StreamOutcome {
            users: Vec::new(),
            missing: Vec::new(),
            failures: Vec::new(),
            progress: StreamProgress::default(),
            status: Ok(()),
        };
        while let Some(results) = self.next().await {
            told.users.extend(results.users());
            told.failures.extend(results.failed());
            told.missing.extend(results.missing_ids);
            let progress = results.progress.expect("results without progress");
            assert!(
                progress.received >= told.progress.received,
                "counts go back"
            );
            told.progress = progress;
        }
        told.status = self.end.map_or(Ok(()), Err);
        told
    }
}

/// Messages that are encoded already, and results that are decoded.
#[derive(Debug, Clone)]
struct Encoded;

impl tonic::codec::Codec for Encoded {
    type Encode = Vec<u8>;
    type Decode = Results;
    type Encoder = <presence_gateway::cli::call::codec::Raw as tonic::codec::Codec>::Encoder;
    type Decoder = <ProstCodec<StreamUsersPresencesPurecloudBulkRequest, Results> as tonic::codec::Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        presence_gateway::cli::call::codec::Raw.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<StreamUsersPresencesPurecloudBulkRequest, Results>::default().decoder()
    }
}
