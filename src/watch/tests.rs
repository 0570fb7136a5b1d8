//! The watches of a token before a vendor who misbehaves, by virtual time.

mod cases;
mod joining;
mod properties;
mod scene;
mod vendor;
