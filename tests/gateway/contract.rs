mod annotations;
mod comments;
pub mod documents;
mod imports;
mod limits;
mod protos;
pub mod reflection;
mod reflection_errors;
mod service_config;
