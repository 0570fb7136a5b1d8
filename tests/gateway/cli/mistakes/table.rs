//! The mistakes, each with what its message must say.

mod connection;
mod flags;
mod request;
mod statuses;

/// All mistakes.
pub fn mistakes() -> impl Iterator<Item = &'static Mistake> {
    let tables = [
        request::MISTAKES,
        flags::MISTAKES,
        connection::MISTAKES,
        statuses::MISTAKES,
    ];
    tables.into_iter().flatten()
}

/// A mistake with `call`. `{name}` in its texts is a value of the peers.
pub struct Mistake {
    pub name: &'static str,
    pub words: &'static [&'static str],
    pub variables: &'static [(&'static str, &'static str)],
    pub input: &'static str,
    pub code: i32,
    pub expected: &'static [&'static str],
}

impl Mistake {
    const fn with(mut self, variables: &'static [(&'static str, &'static str)]) -> Self {
        self.variables = variables;
        self
    }

    const fn input(mut self, input: &'static str) -> Self {
        self.input = input;
        self
    }
}

/// A command line that makes no call. It has a token, so that only the mistake is
/// reported.
const fn rejected(
    name: &'static str,
    words: &'static [&'static str],
    expected: &'static [&'static str],
) -> Mistake {
    Mistake {
        name,
        words,
        variables: &[TOKEN],
        input: "",
        code: 64,
        expected,
    }
}

/// A call that fails.
const fn failed(
    name: &'static str,
    words: &'static [&'static str],
    expected: &'static [&'static str],
) -> Mistake {
    Mistake {
        name,
        words,
        variables: &[TOKEN],
        input: "",
        code: 1,
        expected,
    }
}

const TOKEN: (&str, &str) = ("PRESENCE_GATEWAY_TOKEN", "any");

/// An RPC without fields.
const RPC: &str = "GetSystempresences";

/// An RPC with one field, `userId`.
const USER: &str = "GetUserPresencesPurecloud";
