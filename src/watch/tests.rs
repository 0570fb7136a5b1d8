//! The watches of a token before a vendor who misbehaves, by virtual time.

mod callers;
mod channel;
mod faults;
mod first;
mod gaps;
mod joining;
mod kept;
mod memory;
mod polls;
mod properties;
mod reads;
mod refused_topics;
mod scene;
mod snapshots;
mod vendor;
mod witness;
