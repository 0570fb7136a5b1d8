//! The gateway as its callers and its vendor see it: over real connections,
//! with nothing of it replaced.

mod annotations;
mod answers;
mod bulk;
mod bulk_read_failures;
mod bulk_read_flight;
mod bulk_read_properties;
mod bulk_read_scene;
mod bulk_reads;
mod bulk_write_failures;
mod bulk_write_flight;
mod bulk_write_properties;
mod bulk_write_scene;
mod bulk_writes;
mod contract;
mod flight;
mod requests;
mod support;
