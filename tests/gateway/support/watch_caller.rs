//! A client of the watch.

use std::collections::BTreeMap;
use std::time::Duration;

use presence_gateway::cli::call::codec::Raw;
use presence_gateway::proto::v1::watch_state::Mode;
use presence_gateway::proto::v1::watch_users_presences_response::Update;
use presence_gateway::proto::v1::{
    UserPresence, WatchState, WatchUsersPresencesRequest, WatchUsersPresencesResponse,
};
use prost::Message;
use tonic::{Request, Status, Streaming};

use crate::support::in_flight::wait_for;
use crate::support::{Gateway, assert_well_formed, method, path};

pub const WATCH: &str = "WatchUsersPresences";

/// An open watch, and what came so far.
pub struct WatchCall {
    messages: Streaming<Vec<u8>>,
    /// The system presence of each user.
    pub presences: BTreeMap<String, String>,
    pub states: Vec<WatchState>,
    pub missing: Vec<String>,
    /// The ids that cannot be watched, with the code of the reason.
    pub failed: BTreeMap<String, i32>,
}

impl WatchCall {
    /// Watches these users with the token `token`.
    pub async fn open(gateway: &Gateway, ids: &[&str]) -> Self {
        Self::try_open(gateway, ids, "token", None).await.unwrap()
    }

    pub async fn try_open(
        gateway: &Gateway,
        ids: &[&str],
        token: &str,
        deadline: Option<Duration>,
    ) -> Result<Self, Status> {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        let request = WatchUsersPresencesRequest { ids }.encode_to_vec();
        Self::request(gateway, request, token, deadline).await
    }

    /// Watches by an encoded request.
    pub async fn open_raw(gateway: &Gateway, request: Vec<u8>) -> Result<Self, Status> {
        Self::request(gateway, request, "token", None).await
    }

    async fn request(
        gateway: &Gateway,
        request: Vec<u8>,
        token: &str,
        deadline: Option<Duration>,
    ) -> Result<Self, Status> {
        let mut request = Request::new(request);
        let token = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        let mut client = tonic::client::Grpc::new(gateway.channel.clone());
        client.ready().await.unwrap();
        let path = path(&method(WATCH)).parse().unwrap();
        let opened = client.server_streaming(request, path, Raw);
        let opened = wait_for("the response headers", opened).await;
        Ok(Self {
            messages: opened.inspect_err(assert_well_formed)?.into_inner(),
            presences: BTreeMap::new(),
            states: Vec::new(),
            missing: Vec::new(),
            failed: BTreeMap::new(),
        })
    }

    /// Receives the next message; the error is the end.
    pub async fn next(&mut self) -> Result<WatchUsersPresencesResponse, Status> {
        let message = wait_for("a message", self.messages.message()).await;
        let message = message.inspect_err(assert_well_formed)?;
        let message = message.expect("a watch does not end with OK");
        let message = WatchUsersPresencesResponse::decode(message.as_slice()).unwrap();
        self.missing.extend(message.missing_ids.clone());
        match message.update.clone() {
            Some(Update::Presence(change)) => {
                let system = system_presence(&change.presence.unwrap());
                self.presences.insert(change.user_id, system);
            }
            Some(Update::State(state)) => self.states.push(state),
            Some(Update::Failure(failure)) => {
                let code = failure.status.unwrap().code;
                let failed = failure.ids.into_iter().map(|id| (id, code));
                self.failed.extend(failed);
            }
            None => assert!(!message.missing_ids.is_empty(), "an empty message"),
        }
        Ok(message)
    }

    /// Receives messages until something holds.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            let next = self.next().await;
            let status = |status: &Status| {
                panic!("ended before {what}: {status:?}");
            };
            next.as_ref().map_err(status).unwrap();
        }
    }

    /// Receives messages until the state has this mode.
    pub async fn until_mode(&mut self, mode: Mode) {
        let is_mode = |call: &Self| call.states.last().is_some_and(|state| state.mode() == mode);
        self.until(&format!("{mode:?}"), is_mode).await;
    }

    /// Receives messages until the user has this system presence.
    pub async fn until_presence(&mut self, user: &str, system: &str) {
        let has_it = |call: &Self| call.presences.get(user).is_some_and(|it| it == system);
        self.until(&format!("{user} is {system}"), has_it).await;
    }

    /// Receives messages until the end; returns its status.
    pub async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

fn system_presence(presence: &UserPresence) -> String {
    let definition = presence.presence_definition.clone().unwrap_or_default();
    definition.system_presence.unwrap_or_default()
}
