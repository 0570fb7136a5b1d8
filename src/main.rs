//! The program; `cli` has its commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    presence_gateway::cli::command_line::run()
}
