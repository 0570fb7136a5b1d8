//! The server around the services: how many calls it takes, and what it
//! answers by itself.

mod bursts;
pub mod health;
mod late;
mod memory;
mod places;
mod reflection;
mod reflection_errors;
pub mod shutdown;
