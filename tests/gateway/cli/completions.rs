//! Completion in a shell, and the manual pages.

use std::fs;
use std::process::Command;

use crate::support::certificates::TempDir;
use crate::support::process::run;
use crate::support::serve_flags::flags_of_serve;

/// The words that bash offers for the last of these.
fn completed(words: &[&str]) -> Vec<String> {
    let script = run(&["completions", "bash"], &[]).stdout;
    let cursor = words.len() - 1;
    // bash takes the sign for the end of a word, and the word to complete for empty.
    let last = words[cursor].trim_start_matches('=');
    let previous = words[cursor - 1];
    // Outside a completion, bash has none of its options to change.
    let test = format!(
        "compopt() {{ :; }}\n{script}\n\
         COMP_WORDS=({}); COMP_CWORD={cursor}\n\
         _presence__gateway presence-gateway '{last}' '{previous}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" ")
    );
    let output = Command::new("bash").args(["-u", "-c", &test]).output();
    let output = output.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let words = String::from_utf8(output.stdout).unwrap();
    words.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_rpcs_and_values() {
    for (words, expected) in [
        (&["presence-gateway", "ser"][..], &["serve"][..]),
        (
            &["presence-gateway", "serve", "--max-in"],
            &["--max-in-flight"],
        ),
        (
            &["presence-gateway", "call", "GetUserPresences"],
            &["GetUserPresencesPurecloud"],
        ),
        (
            &["presence-gateway", "serve", "--region", "ap-northeast"],
            &["ap-northeast-1", "ap-northeast-2", "ap-northeast-3"],
        ),
        (
            &["presence-gateway", "call", "--region", "eusc"],
            &["eusc-de-east-1"],
        ),
        // As bash splits `--region=us-w`, with the word before.
        (
            &["presence-gateway", "serve", "--region", "=", "us-w"],
            &["us-west-2"],
        ),
        (
            &["presence-gateway", "serve", "--sandbox", "="],
            &["true", "false"],
        ),
        (
            &["presence-gateway", "sandbox", "--bulk-order", ""],
            &["request", "sorted", "reversed"],
        ),
        (
            &["presence-gateway", "sandbox", "--unknown-users", "f"],
            &["found"],
        ),
        // No file is a value of it.
        (&["presence-gateway", "serve", "--max-in-flight", ""], &[""]),
        // The RPC is given already.
        (
            &["presence-gateway", "call", "getuserpresence", "--js"],
            &["--json"],
        ),
        (
            &["presence-gateway", "call", "GetUserPresence", "Get"],
            &[""],
        ),
        (&["presence-gateway", "completions", "f"], &["fish"]),
    ] {
        assert_eq!(completed(words), expected, "{words:?}");
    }
}

#[test]
fn each_shell_has_a_script_with_all_flags_of_serve() {
    for (shell, beginning) in [
        ("bash", "_presence__gateway() {"),
        ("zsh", "#compdef presence-gateway"),
        ("fish", "#"),
    ] {
        let output = run(&["completions", shell], &[]);
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert!(output.stdout.starts_with(beginning), "{}", output.stdout);
        for flag in flags_of_serve() {
            assert!(
                output.stdout.contains(&flag.name),
                "{shell}: --{}",
                flag.name
            );
        }
    }
    let fish = run(&["completions", "fish"], &[]).stdout;
    let is_call = "__fish_presence_gateway_using_subcommand call";
    assert!(fish.contains(&format!("-n \"{is_call}\" -f\n")), "{fish}");
    let rpcs = format!("-n \"{is_call}; and not __fish_seen_subcommand_from ");
    let rpcs = fish.split_once(&rpcs).expect(&fish).1;
    assert!(rpcs.contains(" GetUserPresencesPurecloud "), "{rpcs}");
    let (function, _) = is_call.split_once(' ').unwrap();
    assert!(fish.contains(&format!("function {function}\n")), "{fish}");
    // With two colons, zsh would complete no flag behind the RPC; tests/release/run
    // completes in a shell.
    let zsh = run(&["completions", "zsh"], &[]).stdout;
    assert!(
        zsh.contains("'*:request -- ") && zsh.contains(":()' \\\n"),
        "{zsh}"
    );
    assert!(
        zsh.contains(":BULK_ORDER:(request sorted reversed)'"),
        "{zsh}"
    );
    let unknown = run(&["completions", "tcsh"], &[]);
    assert_eq!(unknown.code, Some(64), "{unknown:#?}");
    assert!(unknown.stderr.contains("bash, zsh, fish"), "{unknown:#?}");
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = TempDir::new();
    let marker = folder.file("marker", "");
    let folder = folder.path().join("man/man1").to_str().unwrap().to_owned();
    let output = run(
        &["man", &folder],
        &[("PRESENCE_GATEWAY_REGION", "us-east-1")],
    );
    assert_eq!(output.code, Some(0), "{output:#?}");
    let page = |name: &str| {
        let path = format!("{folder}/{name}.1");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let program = page("presence-gateway");
    for command in ["serve", "sandbox", "call", "completions", "man"] {
        let name = format!("presence-gateway-{command}");
        assert!(page(&name).starts_with(".ie"), "{}", page(&name));
        let name = name.replace('-', "\\-");
        assert!(program.contains(&format!("{name}\\fR(1)")), "{program}");
    }
    let serve = page("presence-gateway-serve");
    for flag in flags_of_serve() {
        for text in [format!("--{}", flag.name), flag.variable] {
            let text = text.replace('-', "\\-");
            assert!(serve.contains(&text), "{text}: {serve}");
        }
    }
    // The synopsis has the values of flags.
    for text in [
        "[\\fB\\-\\-region\\fR \\fIREGION\\fR]",
        "[\\fB\\-\\-check\\fR[=\\fIBOOL\\fR]]",
    ] {
        assert!(serve.contains(text), "{text}: {serve}");
    }
    let call = page("presence-gateway-call");
    let synopsis = "[\\fB\\-\\-json\\fR]";
    assert!(
        call.contains(synopsis) && call.contains(" [\\fIREQUEST\\fR]"),
        "{call}"
    );
    // The page is the same wherever it is made.
    assert!(!serve.contains("us\\-east\\-1\\fR"), "{serve}");

    let file = run(&["man", &marker], &[]);
    assert_eq!(file.code, Some(1), "{file:#?}");
    assert!(file.stderr.contains("cannot write pages to"), "{file:#?}");
}
