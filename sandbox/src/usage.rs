//! The text at `/sandbox`: the control endpoints, commands to paste, the grammar of
//! faults, and the settings.

use std::fmt::Write as _;

use super::Sandbox;
use super::misbehave::{notification, rules, words};
use super::request::ReceivedRequest;
use super::seed::user_id;
use super::settings::{self, Flag};
use super::users::PURECLOUD;

/// The start of the text.
pub(super) const ENDPOINTS: &str = "\
A simulated Genesys Cloud presence API. Its operations are under /api/v2, with any bearer token
except `expired` and `forbidden`, which are rejected. POST /oauth/token returns a token.

GET    /                      shows users, requests and rules in a browser, else this text
GET    /sandbox               shows this text
GET    /sandbox/presences     lists presences; ?contains=TEXT selects, ?limit=N has more than 100
POST   /sandbox/presences     sets many: a line for each, with a user and a definition
PUT    /sandbox/presences/USER/SOURCE  sets a presence: the name or the id of a definition
GET    /sandbox/channels      lists the notification channels, oldest first
GET    /sandbox/requests      lists the latest requests, oldest first; ?latest=N has fewer
DELETE /sandbox/requests      deletes them
GET    /sandbox/users         lists the ids of all users
POST   /sandbox/users         adds users: a JSON list of ids, or ids separated by spaces
GET    /sandbox/misbehave     lists the remaining rules
POST   /sandbox/misbehave     adds rules
DELETE /sandbox/misbehave     deletes all rules
DELETE /sandbox/misbehave/NUMBER  deletes a rule
GET    /sandbox/grammar       lists the behaviours and the selectors of rules
POST   /sandbox/reset         resets everything to its state at the start

The header X-Sandbox-Misbehave: BEHAVIOURS gives its own request a fault.
";

/// Why a caller of a gateway may not see a fault.
const RETRIES: &str = "\
Behind a gateway, one or two failures of a read by 502, 503, 504 or a lost connection are not
seen, because it repeats the read, and a 429 makes it wait. A 500 is seen.
";

/// The text, with commands that call the sandbox as this request did.
pub(super) fn text(sandbox: &Sandbox, request: &ReceivedRequest) -> String {
    let mut text = format!(
        "{ENDPOINTS}\nCommands to paste:\n{}\n{}\n{}\n{}\nSettings, with their defaults:\n",
        commands(sandbox, &origin(request)),
        words::help(),
        notification::words::help(),
        rules::HELP.to_owned() + RETRIES
    );
    for flag in settings::flags() {
        let Flag {
            name,
            default,
            variable,
            help,
        } = flag;
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  --{name} {default}  ({variable})\n      {help}");
    }
    text
}

/// The URL of the sandbox. It stands in commands, so it holds nothing that a shell reads.
fn origin(request: &ReceivedRequest) -> String {
    let is_plain = |host: &&str| {
        let mut letters = host.chars();
        !host.is_empty() && letters.all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
    };
    let local = request.local.map(|local| local.to_string());
    let host = request.host().filter(is_plain).or(local.as_deref());
    format!("http://{}", host.unwrap_or("127.0.0.1:8080"))
}

/// What is wrong with a request that no control endpoint takes.
pub(super) fn no_endpoint(method: &str, path: &str) -> String {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let is_variable = |part: &str| part.starts_with(|letter: char| letter.is_ascii_uppercase());
        let mut pairs = parts.iter().zip(&segments);
        parts.len() == segments.len()
            && pairs.all(|(part, segment)| part == segment || is_variable(part))
    };
    let endpoints = ENDPOINTS.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?))
    });
    let methods = endpoints.filter(|(_, template)| template.starts_with('/') && fits(template));
    let methods: Vec<&str> = methods.map(|(method, _)| method).collect();
    let wrong = format!("There is no endpoint `{method} {path}`");
    if methods.is_empty() {
        format!("{wrong}.")
    } else {
        format!("{wrong}: this path takes {}.", methods.join(", "))
    }
}

/// Commands, each with what it does.
fn commands(sandbox: &Sandbox, origin: &str) -> String {
    let user = user_id(1);
    let mut commands = String::new();
    let mut command = |purpose: &str, line: &str| {
        let _ = writeln!(commands, "\n# {purpose}\n  {line}");
    };
    if !sandbox.lock().users.ids().any(|id| id == user) {
        let add = format!("curl -s -d '{user}' '{origin}/sandbox/users'");
        command("adds the user of the next commands", &add);
    }
    if let Some(call) = &sandbox.shared.gateway_call {
        command("reads a presence through the gateway", call);
    }
    let bearer = "-H 'Authorization: Bearer any'";
    let path = format!("/api/v2/users/{user}/presences/purecloud");
    command(
        "reads a presence",
        &format!("curl -s {bearer} '{origin}{path}'"),
    );
    command(
        "sets a presence, as if the user had",
        &format!("curl -s -X PUT -d Busy '{origin}/sandbox/presences/{user}/{PURECLOUD}'"),
    );
    command(
        "lets the next two reads fail, also behind a gateway, which repeats no read after a 500",
        &format!("curl -s -d 'status=500 method=GET times=2' '{origin}/sandbox/misbehave'"),
    );
    command(
        "lets one request fail that does not pass a gateway",
        &format!("curl -s -H 'X-Sandbox-Misbehave: status=500' {bearer} '{origin}{path}'"),
    );
    command(
        "lists the latest requests",
        &format!("curl -s '{origin}/sandbox/requests?latest=10'"),
    );
    command(
        "resets everything",
        &format!("curl -s -X POST '{origin}/sandbox/reset'"),
    );
    commands
}
