//! A request for each RPC, for `call --describe` and docs/api.md. They succeed in
//! the sandbox, once [`ID`] is the id of a resource that was created.

/// An RPC and a request on each line.
const EXAMPLES: &str = include_str!("examples.txt");

/// In an example: the id of a resource that the POST of the same kind created.
pub const ID: &str = "<id>";

/// The example of an RPC, as JSON.
#[must_use]
pub fn example(rpc: &str) -> Option<&'static str> {
    let mut examples = EXAMPLES.lines().filter_map(|line| line.split_once(' '));
    examples.find_map(|(name, request)| (name == rpc).then_some(request))
}
