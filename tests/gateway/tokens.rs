//! The caller's token: taken as it is, given to the vendor alone, shown to
//! nobody, never another caller's.

mod forwarded;
mod logged;
mod many;
mod refused;
