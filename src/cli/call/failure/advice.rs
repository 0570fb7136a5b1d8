//! What to do about a status of the gateway, by its reason and its code.

use prost::Message;
use prost_reflect::MethodDescriptor;
use prost_types::Any;
use tonic::Code;
use tonic_types::pb::{ErrorInfo, RetryInfo};

use super::details::seconds;
use crate::cli::call::lister::listers;
use crate::cli::call::request::quoted;
use crate::error::{CUT_BY_SHUTDOWN, DEADLINE, DOMAIN, Reason, VENDOR_DOMAIN};

/// The keys of `ErrorInfo` with the permissions that a call needs.
const PERMISSIONS: [&str; 2] = ["required_permissions_mode", "required_permissions"];

/// What to do, if there is anything to say.
pub(super) fn advice(code: Code, details: &[Any], method: &MethodDescriptor) -> Option<String> {
    let info: Option<ErrorInfo> = detail(details, "google.rpc.ErrorInfo");
    let Some(info) = info else {
        return without_details(code);
    };
    let retry: Option<RetryInfo> = detail(details, "google.rpc.RetryInfo");
    let retry = retry.as_ref().and_then(seconds);
    if info.domain == DOMAIN {
        let mut reasons = Reason::ALL.iter();
        let reason = reasons.find(|reason| reason.as_str() == info.reason)?;
        return Some(match reason {
            Reason::DeadlineExceeded if is_cut_by_shutdown(&info) => {
                "the gateway shuts down: repeat it, another replica answers".to_owned()
            }
            Reason::UpstreamError => upstream(code, &info, retry.as_deref(), method),
            reason => own(*reason, retry.as_deref(), method),
        });
    }
    (info.domain == VENDOR_DOMAIN).then(|| vendor(code, &info, retry.as_deref(), method))
}

/// About an error response without a code of the vendor.
fn upstream(
    code: Code,
    info: &ErrorInfo,
    retry: Option<&str>,
    method: &MethodDescriptor,
) -> String {
    match code {
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Unavailable => {
            let vendor = vendor(code, info, retry, method);
            format!("{vendor}; or what answered the gateway is a proxy, not Genesys Cloud")
        }
        _ => "what answered the gateway may not be Genesys Cloud: tell its operator (--region, \
             --upstream-url, --upstream-proxy)"
            .to_owned(),
    }
}

/// Whether the shutdown of the gateway cut the deadline, and not the caller.
fn is_cut_by_shutdown(info: &ErrorInfo) -> bool {
    info.metadata
        .get(DEADLINE)
        .is_some_and(|it| it == CUT_BY_SHUTDOWN)
}

fn detail<M: Message + Default>(details: &[Any], name: &str) -> Option<M> {
    let is_it = |detail: &&Any| detail.type_url.rsplit('/').next() == Some(name);
    let found = details.iter().find(is_it)?;
    M::decode(found.value.as_slice()).ok()
}

/// About a status without `ErrorInfo`, which the gateway did not make.
fn without_details(code: Code) -> Option<String> {
    match code {
        // Of the client itself.
        Code::DeadlineExceeded | Code::Internal => None,
        Code::Unimplemented => Some(
            "what answers there is a gRPC server, but not a presence gateway, or an older one"
                .to_owned(),
        ),
        _ => Some(
            "the status is not the gateway's own: a proxy or another server answered".to_owned(),
        ),
    }
}

/// Where the ids of a request come from, after a hint.
fn sources(method: &MethodDescriptor) -> String {
    let sources = listers(&method.input()).into_iter();
    let sources = sources
        .map(|(field, rpc)| format!("; `presence-gateway call {rpc}` lists what `{field}` may be"));
    sources.collect()
}

/// About a reason of the gateway.
fn own(reason: Reason, retry: Option<&str>, method: &MethodDescriptor) -> String {
    let rpc = method.name();
    let wait = match retry {
        Some(delay) => format!("repeat it after {delay}"),
        None => "repeat it after a while".to_owned(),
    };
    match reason {
        Reason::InvalidRequest => format!(
            "correct the field that BadRequest names; a request that is right: \
             `presence-gateway call {rpc} {}`; --describe has what the fields may be",
            quoted(method)
        ),
        Reason::MissingToken => {
            "a proxy took the token away: it must pass `authorization` on".to_owned()
        }
        Reason::MalformedToken => {
            "give the token alone, by --token or PRESENCE_GATEWAY_TOKEN".to_owned()
        }
        Reason::RegionNotServed => {
            "give --region one of the regions that the gateway serves, or leave it out".to_owned()
        }
        Reason::Overloaded => wait,
        Reason::TokenQuota => format!("{wait}, or with a --deadline that is longer than that"),
        Reason::TokenOverloaded => format!("wait for the token's other calls to end; {wait}"),
        Reason::TokenRevoked => "watch again with another token".to_owned(),
        Reason::TopicRejected => {
            "ask for the right to see the user, or leave the id out".to_owned()
        }
        Reason::NotificationsUnavailable => "presences are polled meanwhile".to_owned(),
        Reason::DeadlineExceeded => "repeat it with a longer --deadline".to_owned(),
        Reason::UpstreamUnreachable => {
            "the gateway does not reach Genesys Cloud: repeat it, then tell its operator".to_owned()
        }
        Reason::UpstreamConnectionLost => "repeat it".to_owned(),
        // `upstream` explains it by its code.
        Reason::UpstreamError => wait,
        Reason::UpstreamRedirect => {
            "the region or the URL of the gateway is wrong: tell its operator".to_owned()
        }
        Reason::UnreadableAnswer => {
            "a read changed nothing; a write counts as applied: read before you repeat it; tell \
             the operator"
                .to_owned()
        }
        Reason::OutcomeUnknown => {
            "read the current state before you repeat it: the write may have been applied"
                .to_owned()
        }
        Reason::NotTried => "send these updates again".to_owned(),
        Reason::UnknownMethod => {
            "the gateway is of another version than this program (`presence-gateway --version`), \
             or does not serve this RPC"
                .to_owned()
        }
        Reason::MalformedRequest => {
            "the gateway is of another version than this program, or a proxy changed the request"
                .to_owned()
        }
        Reason::MessageTooLarge => "split the request into several calls".to_owned(),
        Reason::StreamIdle => "call again with the remaining ids".to_owned(),
        Reason::ConnectionDraining | Reason::ShuttingDown => "call again".to_owned(),
        Reason::Internal => {
            "it is a bug in the gateway: report it; read before you repeat a write".to_owned()
        }
    }
}

/// About an error of the vendor.
fn vendor(code: Code, info: &ErrorInfo, retry: Option<&str>, method: &MethodDescriptor) -> String {
    let rpc = method.name();
    match code {
        Code::InvalidArgument => format!(
            "correct the request; `presence-gateway call {rpc} --describe` has what its fields \
             may be{}",
            sources(method)
        ),
        Code::Unauthenticated => {
            "Genesys Cloud rejects the token: it has expired, was revoked, or is of another region \
             than the call (--region); get a new one"
                .to_owned()
        }
        Code::PermissionDenied => match PERMISSIONS.map(|key| info.metadata.get(key)) {
            [Some(mode), Some(names)] => {
                let mode = match mode.as_str() {
                    _ if !names.contains(',') => "",
                    "ANY" => "any of ",
                    _ => "all of ",
                };
                format!(
                    "{rpc} needs {mode}{names}: give the token's user or OAuth client a role \
                     with it, in the division of the resource"
                )
            }
            _ => "the token's user or OAuth client lacks a permission".to_owned(),
        },
        Code::NotFound => format!(
            "check the ids in the request: Genesys Cloud has no such resource{}",
            sources(method)
        ),
        Code::AlreadyExists | Code::Aborted => {
            "it conflicts with the current state: read that, then decide".to_owned()
        }
        Code::ResourceExhausted => match retry {
            Some(delay) => format!("Genesys Cloud limits the rate: repeat it after {delay}"),
            None => "Genesys Cloud limits the rate: repeat it after a while".to_owned(),
        },
        Code::Unavailable => match retry {
            Some(delay) => format!("repeat it after {delay}"),
            None => "repeat it after a while".to_owned(),
        },
        Code::DeadlineExceeded => "Genesys Cloud did not answer in time: repeat it".to_owned(),
        Code::Internal | Code::Unknown => {
            "Genesys Cloud failed: read before you repeat a write; its support asks for the request \
             id"
            .to_owned()
        }
        _ => "do not repeat it as it is; its message has the cause".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::pb::Status;

    use super::*;
    use crate::cli::call::rpc_name::find;
    use crate::error::{Error, Expired, Failure, TimeLimit, Waiting};

    #[test]
    fn a_deadline_that_a_shutdown_cut_needs_another_replica_and_not_more_time() {
        let waiting = Waiting::Response(1);
        for (limit, expected) in [
            (TimeLimit::Drain, "another replica answers"),
            (
                TimeLimit::Caller(Duration::from_secs(1)),
                "a longer --deadline",
            ),
        ] {
            let expired = Expired { limit, waiting };
            let status = Failure::from(Error::DeadlineExceeded(expired)).into_rpc_status();
            let Status { code, details, .. } = status;
            let rpc = find("GetUserPresence").unwrap();
            let advice = advice(Code::from_i32(code), &details, &rpc).unwrap();
            assert!(advice.contains(expected), "{advice}");
        }
    }
}
