//! Names of topics.

/// The longest name of a topic. The vendor's JavaScript client keeps combined names below
/// 200 characters **[A]**; that the service rejects longer ones is an inference **[C]**.
const MAX_NAME: usize = 200;

/// A topic to which a channel can be subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// The name as it was subscribed.
    pub(crate) name: String,
    /// The user that it is about, as it was written.
    pub(crate) user: Option<String>,
    /// Whether presences of that user are events of it.
    pub(crate) is_of_presence: bool,
}

impl Topic {
    /// Parses the name of a topic; the error says what is wrong.
    ///
    /// `v2.users.{id}.presence` **[A]**, and several topics of a user as one,
    /// `v2.users.{id}?presence&routingStatus` **[A]**. The vendor knows hundreds more. Each
    /// name that begins with `v2.` is accepted, and brings no events **[C]**.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let is_plain = |letter: char| letter.is_ascii_graphic();
        if !name.starts_with("v2.") || !name.chars().all(is_plain) {
            return Err(format!("The topic [{name}] is not a topic."));
        }
        if name.len() > MAX_NAME {
            return Err(format!(
                "The name of a topic has no more than {MAX_NAME} characters, not {}.",
                name.len()
            ));
        }
        let (user, kinds) = match name.strip_prefix("v2.users.") {
            None => (None, ""),
            Some(rest) => match rest.split_once('?') {
                Some((user, kinds)) => (Some(user), kinds),
                None => match rest.rsplit_once('.') {
                    Some((user, kind)) => (Some(user), kind),
                    None => (None, ""),
                },
            },
        };
        Ok(Self {
            name: name.to_owned(),
            user: user.filter(|user| !user.is_empty()).map(str::to_owned),
            is_of_presence: kinds.split('&').any(|kind| kind == "presence"),
        })
    }
}

/// The topic of the events of a user's presence, with the id as it was subscribed.
pub(crate) fn presence(user: &str) -> String {
    format!("v2.users.{user}.presence")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_a_user_and_may_combine_several_kinds() {
        for (name, user, is_of_presence) in [
            ("v2.users.u-1.presence", Some("u-1"), true),
            ("v2.users.a.b.presence", Some("a.b"), true),
            ("v2.users.u?presence&routingStatus", Some("u"), true),
            ("v2.users.u?routingStatus&presence", Some("u"), true),
            ("v2.users.u?routingStatus", Some("u"), false),
            ("v2.users.u.routingStatus", Some("u"), false),
            ("v2.users.u.presences.purecloud", Some("u.presences"), false),
            ("v2.users..presence", None, true),
            ("v2.routing.queues.q.users", None, false),
        ] {
            let topic = Topic::parse(name).unwrap();
            assert_eq!(topic.user.as_deref(), user, "{name}");
            assert_eq!(topic.is_of_presence, is_of_presence, "{name}");
        }
        assert_eq!(presence("U"), "v2.users.U.presence");
    }

    #[test]
    fn what_is_no_topic_is_named_in_the_error() {
        for wrong in ["", "presence", "channel.metadata", "v2.users.a b.presence"] {
            let error = Topic::parse(wrong).unwrap_err();
            assert!(error.contains(&format!("[{wrong}]")), "{error}");
        }
        let long = format!("v2.users.{}.presence", "x".repeat(200));
        assert!(Topic::parse(&long).unwrap_err().contains("not 218"));
    }
}
