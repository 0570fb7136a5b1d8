//! Finds the RPC that a caller means.

use prost_reflect::MethodDescriptor;

use crate::nearest::{is_near, plain, sorted};
use crate::proto::{self, comments::RpcComment};

/// How many RPCs are proposed in place of one that does not exist.
const PROPOSED: usize = 5;

/// Finds an RPC by its name, or by that of the vendor's operation. Case does not
/// matter. The service may stand before it, after a dot or a slash.
pub(in crate::cli) fn find(name: &str) -> Result<MethodDescriptor, String> {
    let (service, rpc) = name.rsplit_once(['/', '.']).unwrap_or(("", name));
    let wanted = plain(rpc);
    // `get_presencedefinition` is the operation of `GetOrganizationPresence`,
    // although only underscores distinguish it from `GetPresenceDefinition`.
    let by_operation =
        |method: &MethodDescriptor| RpcComment::new(method).operation == rpc && rpc.contains('_');
    let operation = proto::methods().filter(|method| !method.is_server_streaming());
    let operation = operation.into_iter().find(by_operation);
    let found =
        operation.or_else(|| proto::methods().find(|method| plain(method.name()) == wanted));
    match found {
        Some(method) if is_in(&method, service) => Ok(method),
        Some(method) => Err(format!(
            "there is no RPC `{name}`; did you mean\n  {}/{}",
            method.parent_service().full_name(),
            method.name()
        )),
        None => Err(unknown(name, rpc)),
    }
}

/// Whether an RPC is in the service with this name, which may lack its package.
fn is_in(method: &MethodDescriptor, service: &str) -> bool {
    let full = method.parent_service().full_name().to_lowercase();
    let service = service.trim_start_matches('/').to_lowercase();
    let is_suffix = full.strip_suffix(&service);
    is_suffix.is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || service.is_empty())
}

fn unknown(name: &str, rpc: &str) -> String {
    if name.trim_start().starts_with(['{', '[']) {
        return "the RPC comes first, then the request: presence-gateway call RPC '{…}'".to_owned();
    }
    let flag = match rpc.to_lowercase().as_str() {
        "list" | "ls" => Some("call --list"),
        "describe" => Some("call RPC --describe"),
        "help" => Some("call --help"),
        _ => None,
    };
    if let Some(flag) = flag {
        return format!("there is no RPC `{name}`; did you mean `presence-gateway {flag}`?");
    }
    let names: Vec<String> = proto::methods()
        .map(|method| method.name().to_owned())
        .collect();
    let near = sorted(rpc, names.iter().map(String::as_str)).into_iter();
    let near: Vec<&str> = near
        .filter(|name| is_near(rpc, name))
        .take(PROPOSED)
        .collect();
    let proposal = if near.is_empty() {
        String::new()
    } else {
        format!("; did you mean\n  {}", near.join("\n  "))
    };
    format!(
        "there is no RPC `{name}`{proposal}\n\
         `presence-gateway call --list` lists all RPCs."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpc_is_found_by_any_spelling_of_its_name() {
        for name in [
            "GetUserPresence",
            "getuserpresence",
            "GETUSERPRESENCE",
            "get_user_presence",
            "getUserPresence",
            "PresenceService/GetUserPresence",
            "presenceservice.getuserpresence",
            "genesys.presence.v1.PresenceService/GetUserPresence",
            "/genesys.presence.v1.PresenceService/getUserPresence",
        ] {
            assert_eq!(
                find(name).map(|rpc| rpc.name().to_owned()),
                Ok("GetUserPresence".to_owned())
            );
        }
    }

    #[test]
    fn every_operation_of_the_vendor_leads_to_its_rpc() {
        for rpc in proto::methods().filter(|rpc| !rpc.is_server_streaming()) {
            let operation = RpcComment::new(&rpc).operation;
            assert_eq!(find(&operation).as_ref(), Ok(&rpc), "{operation}");
        }
    }

    #[test]
    fn a_service_that_lacks_the_rpc_is_wrong() {
        let wrong = find("PresenceService/GetOrganizationPresence").unwrap_err();
        assert!(
            wrong.ends_with("v1.LegacyPresenceService/GetOrganizationPresence"),
            "{wrong}"
        );
        assert!(find("grpc.health.v1.Health/Check").is_err());
        assert!(find("Service/GetUserPresence").is_err());
    }
}
