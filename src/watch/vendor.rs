//! What a watch needs of the vendor. `rest.rs` has the real one, and the tests
//! another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::proto::v1::UserPresence;
use crate::upstream::{ConnectError, Socket, SocketMessage};
use crate::watch::users::{UserMap, UserSet};

/// A notification channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channel {
    pub id: String,
    /// The address of its WebSocket.
    pub address: String,
    /// How long it lives from now on, if that is known.
    pub life: Option<Duration>,
}

/// The answer to a subscription.
#[derive(Debug, Default)]
pub(super) struct Subscribed {
    pub permitted: UserSet,
    pub rejected: UserMap<Failure>,
}

/// The presences of the users of one batch whom the vendor knows.
pub(super) type Presences = UserMap<UserPresence>;

/// The vendor, with the token of the watches.
pub(super) trait Vendor: fmt::Debug + Send + Sync {
    /// Makes a channel.
    fn create_channel(&self) -> BoxFuture<'static, Result<Channel, Failure>>;

    /// Opens the WebSocket of a channel.
    fn open(
        &self,
        address: String,
    ) -> BoxFuture<'static, Result<Box<dyn Notifications>, ConnectError>>;

    /// Subscribes the topics of these users in place of all others, or besides them.
    fn subscribe(
        &self,
        channel: String,
        users: Vec<(Arc<str>, String)>,
        replaces: bool,
    ) -> BoxFuture<'static, Result<Subscribed, Failure>>;

    /// Reads the presences of the users of one batch.
    fn read(&self, ids: Vec<String>) -> BoxFuture<'static, Result<Presences, Failure>>;
}

/// An open WebSocket of the vendor.
pub(super) trait Notifications: Send {
    /// The next message. It can be cancelled.
    fn next(&mut self) -> BoxFuture<'_, SocketMessage>;

    /// Sends a ping.
    fn ping(&mut self) -> BoxFuture<'_, Result<(), String>>;

    /// Closes the socket.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

impl Notifications for Socket {
    fn next(&mut self) -> BoxFuture<'_, SocketMessage> {
        Box::pin(Self::next(self))
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(Self::ping(self))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(Self::close(*self))
    }
}
