//! The flags of `serve`, read from its help.

use super::process::run;

/// A flag of `--help`.
#[derive(Debug)]
pub struct Flag {
    pub name: String,
    pub variable: String,
    pub default: String,
}

/// The flags of `serve` except `--help`, in the order of its help.
pub fn flags_of_serve() -> Vec<Flag> {
    let help = run(&["serve", "--help"], &[]).stdout;
    // The help wraps long lines at spaces.
    let words: Vec<&str> = help.split_whitespace().collect();
    let help = words.join(" ");
    let between = |text: &str, from: &str, to: char| {
        let rest = text.split_once(from).map(|(_, rest)| rest.to_owned());
        rest.map(|rest| rest.split(to).next().unwrap_or_default().to_owned())
    };
    let (_, options) = help.split_once("Options: ").unwrap();
    let flags = options.split(" --").filter(|text| text.contains("[env: "));
    let flags: Vec<Flag> = flags
        .map(|text| Flag {
            name: text
                .trim_start_matches('-')
                .split([' ', '[', '='])
                .next()
                .unwrap()
                .to_owned(),
            // The help hides the value of a variable that may hold a secret.
            variable: between(text, "[env: ", ']')
                .map(|variable| variable.split('=').next().unwrap_or_default().to_owned())
                .unwrap_or_default(),
            default: between(text, "[default: ", ']').unwrap_or_default(),
        })
        .collect();
    assert!(flags.len() >= 11, "cannot parse the help: {help}");
    flags
}
