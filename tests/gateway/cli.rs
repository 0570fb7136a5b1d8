mod call_deadlines;
mod call_signals;
mod call_streams;
mod check;
mod command_line;
mod completions;
mod explore;
mod json;
mod log;
mod mistakes;
mod start;
mod unary_calls;

const USER: &str = "00000000-0000-4000-8000-000000000001";
