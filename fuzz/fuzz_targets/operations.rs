/// Calls a generic function for the operation whose index is `choice`.
macro_rules! with_operation {
    ($choice:expr, $function:ident($($argument:expr),*)) => {{
        use presence_gateway::proto::v1::*;
        with_operation!(@ $choice, $function($($argument),*),
            DeletePresenceDefinitionRequest DeletePresenceSourceRequest GetPresenceDefinitionRequest
            GetPresenceDefinitionsRequest GetPresenceSettingsRequest GetPresenceSourceRequest
            GetPresenceSourcesRequest GetPresenceUserPrimarysourceRequest GetSystempresencesRequest
            GetUserPresenceRequest GetUserPresencesPurecloudRequest GetUsersPresenceBulkRequest
            GetUsersPresencesPurecloudBulkRequest PatchUserPresenceRequest
            PatchUserPresencesPurecloudRequest PostPresenceDefinitionsRequest
            PostPresenceSourcesRequest PutPresenceDefinitionRequest PutPresenceSettingsRequest
            PutPresenceSourceRequest PutPresenceUserPrimarysourceRequest
            PutUsersPresencesBulkRequest DeleteOrganizationPresenceRequest
            GetOrganizationPresenceRequest GetOrganizationPresencesRequest
            PostOrganizationPresencesRequest PutOrganizationPresenceRequest)
    }};
    (@ $choice:expr, $function:ident $arguments:tt, $($request:ident)*) => {{
        let mut choice = $choice;
        $(
            if choice == 0 {
                $function::<$request>$arguments;
            }
            choice = choice.wrapping_sub(1);
        )*
        let _ = choice;
    }};
}
