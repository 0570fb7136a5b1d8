mod forwarded_metadata;
mod hostile_peers;
mod log_content;
mod many_callers;
mod rejected_tokens;
