mod call_deadlines;
mod call_signals;
mod call_streams;
mod command_line;
