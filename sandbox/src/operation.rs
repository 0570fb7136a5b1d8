//! A request for an operation, and what its handler returns.

use serde_json::{Map, Value};

use super::api_error::ApiError;
use super::query::Query;
use super::reply::Reply;
use super::settings::Settings;
use super::shape::{self, Shape};
use super::state::State;

/// The result of a handler.
pub(super) type HandlerResult = Result<Reply, ApiError>;

/// The largest `int` of the vendor.
const MAX_INT: usize = 0x7fff_ffff;

/// A checked body, or one element of a list body.
type Read = Result<Map<String, Value>, ApiError>;

/// An operation of the presence API.
#[derive(Debug)]
pub(super) struct Operation {
    /// The vendor's name.
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) template: &'static str,
    pub(super) permissions: Permissions,
    /// The shape of its body, or of each element of a list body.
    pub(super) body: Option<Shape>,
    pub(super) run: fn(&mut OperationRequest<'_>) -> HandlerResult,
}

/// The permissions that a caller needs.
#[derive(Debug)]
pub(super) enum Permissions {
    None,
    All(&'static [&'static str]),
    Any(&'static [&'static str]),
}

/// A request for an operation.
#[derive(Debug)]
pub(super) struct OperationRequest<'a> {
    pub(super) settings: &'a Settings,
    pub(super) state: &'a mut State,
    /// The variables of the path, in order.
    pub(super) variables: &'a [String],
    pub(super) query: &'a Query,
    /// The body, if the operation has one.
    pub(super) body: Option<(Value, Shape)>,
    pub(super) token: Token,
    /// The scheme and the host of the channels' sockets.
    pub(super) origin: String,
    pub(super) correlation: &'a str,
}

/// What is kept of a token.
#[derive(Debug, Clone, Default)]
pub(super) struct Token {
    pub(super) hash: u64,
    pub(super) label: String,
}

impl<'a> OperationRequest<'a> {
    /// A variable of the path.
    pub(super) fn variable(&self, at: usize) -> &'a str {
        self.variable_or(at, "")
    }

    /// A path variable, or a default for operations without it.
    pub(super) fn variable_or(&self, at: usize, otherwise: &'a str) -> &'a str {
        self.variables.get(at).map_or(otherwise, String::as_str)
    }

    /// Takes the object body.
    pub(super) fn body(&mut self) -> Read {
        let (value, shape) = self.body.take().ok_or_else(|| ApiError::from_status(400))?;
        shape::read(&value, shape, self.settings.nulls, "")
    }

    /// Takes the list body. Each element is checked on its own.
    pub(super) fn bodies(&mut self, limit: usize) -> Result<Vec<Read>, ApiError> {
        let (value, shape) = self.body.take().ok_or_else(|| ApiError::from_status(400))?;
        let Value::Array(list) = value else {
            return Err(shape::wrong_type("body", "array"));
        };
        if list.len() > limit {
            let message = format!(
                "At most {limit} updates are allowed at once, not {}.",
                list.len()
            );
            return Err(ApiError::field("bad.request", "body", &message));
        }
        let nulls = self.settings.nulls;
        let read = |(at, each)| shape::read(each, shape, nulls, &format!("[{at}]."));
        Ok(list.iter().enumerate().map(read).collect())
    }

    /// Whether the caller asks for deactivated entities instead of active ones.
    pub(super) fn deactivated(&self) -> Result<bool, ApiError> {
        self.flag("deactivated", "TRUE, FALSE")
    }

    /// A boolean parameter, in any case; false if absent.
    pub(super) fn flag(&self, name: &str, allowed: &str) -> Result<bool, ApiError> {
        match self.query.one(name) {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(ApiError::parameter_value(name, value, allowed)),
        }
    }

    /// A positive number, or a default if absent.
    pub(super) fn positive(&self, name: &str, default: usize) -> Result<usize, ApiError> {
        let Some(raw) = self.query.one(name) else {
            return Ok(default);
        };
        raw.parse()
            .ok()
            .filter(|number| (1..=MAX_INT).contains(number))
            .ok_or_else(|| {
                let allowed = format!("whole numbers from 1 to {MAX_INT}");
                ApiError::parameter_value(name, raw, &allowed)
            })
    }
}
