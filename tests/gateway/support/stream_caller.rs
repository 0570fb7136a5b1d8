//! A client of the bulk read streams.

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

/// The two streaming RPCs; `send` uses the source `a/b` for the first.
pub const STREAMS: [&str; 2] = [
    "StreamUsersPresenceBulk",
    "StreamUsersPresencesPurecloudBulk",
];

/// A response message: both RPCs have the same wire format.
pub type Results = StreamUsersPresenceBulkResponse;

/// The length of a list, in the type of the progress counters.
pub fn count<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap()
}

/// An open stream.
pub struct StreamCall {
    is_purecloud: bool,
    requests: Option<mpsc::Sender<Vec<u8>>>,
    is_first: bool,
    results: Streaming<Results>,
    end: Option<Status>,
}

/// All results of a stream, and its status.
#[derive(Debug)]
pub struct StreamOutcome {
    pub users: Vec<String>,
    pub missing: Vec<String>,
    /// The reason and the ids of each failure.
    pub failures: Vec<(String, Vec<String>)>,
    pub progress: StreamProgress,
    pub status: Result<(), Status>,
}

impl StreamOutcome {
    /// The ids that failed with this reason.
    pub fn failed_with(&self, reason: &str) -> Vec<String> {
        let failures = self.failures.iter().filter(|(actual, _)| actual == reason);
        failures.flat_map(|(_, ids)| ids.clone()).collect()
    }

    /// All ids in results, sorted, with repetitions.
    pub fn ids(&self) -> Vec<String> {
        let failed = self.failures.iter().flat_map(|(_, ids)| ids);
        let ids = self.users.iter().chain(&self.missing).chain(failed);
        let mut ids: Vec<String> = ids.cloned().collect();
        ids.sort();
        ids
    }
}

/// Readers of a response message.
pub trait ResultsExt {
    /// The user ids of the presences.
    fn users(&self) -> Vec<String>;
    /// The reason and the ids of each failure.
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
        let metadata: Vec<_> = token
            .map(|token| ("authorization", token))
            .into_iter()
            .collect();
        Self::open_request(gateway, rpc, deadline, &metadata).await
    }

    /// Opens a stream with this metadata.
    pub async fn open_with_metadata(
        gateway: &Gateway,
        rpc: &str,
        metadata: &[(&'static str, &str)],
    ) -> Result<Self, Status> {
        Self::open_request(gateway, rpc, None, metadata).await
    }

    async fn open_request(
        gateway: &Gateway,
        rpc: &str,
        deadline: Option<Duration>,
        metadata: &[(&'static str, &str)],
    ) -> Result<Self, Status> {
        let (requests, mut receiver) = mpsc::channel::<Vec<u8>>(1);
        let messages = stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut request = Request::new(messages);
        for (name, value) in metadata {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        let mut client = tonic::client::Grpc::new(gateway.channel.clone());
        client.ready().await.unwrap();
        let path = path(&method(rpc)).parse().unwrap();
        let opened = client.streaming(request, path, Encoded);
        let opened = wait_for("the response headers", opened).await?;
        Ok(Self {
            is_purecloud: rpc == STREAMS[1],
            requests: Some(requests),
            is_first: true,
            results: opened.into_inner(),
            end: None,
        })
    }

    /// Requests these ids.
    pub async fn send(&mut self, ids: Vec<String>) {
        self.send_first(ids, false).await;
    }

    /// Requests these ids, with the fields that only the first message sets.
    pub async fn send_first(&mut self, ids: Vec<String>, unordered: bool) {
        let source = if self.is_first { "a/b" } else { "" };
        self.is_first = false;
        self.send_for_source(source, ids, unordered).await;
    }

    /// Requests these ids of this source.
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

    /// Sends an encoded message; ignores the error if the stream has ended.
    pub async fn send_raw(&mut self, message: Vec<u8>) {
        if let Some(requests) = &self.requests {
            let _ = wait_for("room for a message", requests.send(message)).await;
        }
    }

    /// Ends the requests of the stream.
    pub fn close_send(&mut self) {
        self.requests = None;
    }

    /// Cancels the stream without ending its requests.
    pub fn cancel(self) {
        drop(self.results);
        drop(self.requests);
    }

    /// The next results; none at the end of the stream.
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

    /// Skips the remaining results; returns the status.
    pub async fn status(mut self) -> Result<(), Status> {
        while self.next().await.is_some() {}
        self.end.map_or(Ok(()), Err)
    }

    /// Collects the remaining results until the end.
    pub async fn collect(mut self) -> StreamOutcome {
        let mut outcome = StreamOutcome {
            users: Vec::new(),
            missing: Vec::new(),
            failures: Vec::new(),
            progress: StreamProgress::default(),
            status: Ok(()),
        };
        while let Some(results) = self.next().await {
            outcome.users.extend(results.users());
            outcome.failures.extend(results.failed());
            outcome.missing.extend(results.missing_ids);
            let progress = results.progress.expect("results have a progress");
            assert!(
                progress.received >= outcome.progress.received,
                "a counter decreased"
            );
            outcome.progress = progress;
        }
        outcome.status = self.end.map_or(Ok(()), Err);
        outcome
    }
}

/// Sends encoded messages, and decodes results.
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
