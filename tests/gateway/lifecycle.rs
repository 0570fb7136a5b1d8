pub mod drain;
pub mod health;
mod killed;
mod late_calls;
mod process_exit;
