mod annotations;
pub mod documents;
pub mod protos;
pub mod reflection;
mod reflection_errors;
mod service_config;
