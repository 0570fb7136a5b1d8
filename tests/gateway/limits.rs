mod bursts;
mod concurrency;
mod memory;
mod per_token;
