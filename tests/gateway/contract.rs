mod annotations;
pub mod documents;
mod imports;
mod limits;
pub mod protos;
pub mod reflection;
mod reflection_errors;
mod service_config;
