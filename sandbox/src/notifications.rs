//! The vendor's notifications: channels, their subscriptions, and the WebSocket that
//! brings the events of a channel.
//!
//! What the vendor does, with its sources: **[A]** the vendor itself (SDKs, guide, staff),
//! **[B]** other people's code or a single post, **[C]** an inference.
//!
//! - A channel has an id, a URI for one WebSocket, and 24 hours to live, which a POST or a
//!   PUT of subscriptions begins anew **[A]**.
//! - At most 20 channels of a token. The 21st removes the one whose last use is the longest
//!   ago, those without a connection first **[A; B: whether of a token, of a user or of an
//!   application is disputed]**. At most 1000 topics of a channel **[A]**.
//! - Each socket brings a heartbeat every 30 seconds, and answers `{"message":"ping"}` **[A]**.
//! - Events are lost while nobody is connected. They have no guarantee of delivery **[A]**.
//!
//! `channel` and `channels` decide which channel gets which event, and know no socket. `link` is what
//! lies between the two: the bounded queue that `socket` writes to its client.

pub(super) mod channel;
pub(super) mod channels;
pub(super) mod delivery;
pub(super) mod event;
pub(super) mod link;
pub(super) mod operations;
pub(super) mod socket;
pub(super) mod texts;
pub(super) mod topic;
pub(super) mod upgrade;
