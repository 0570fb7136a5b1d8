//! Tests the sandbox with random requests, against its documentation and the fixture.

mod documentation;
mod operations;
mod robustness;

use serde_json::Value;

use super::{Sandbox, Settings};

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";

const BUSY: &str = "31fe3bac-dea6-44b7-bed7-47f91660a1a0";
const MEAL: &str = "3fd96123-badb-4f69-bc03-1b1ccc6d8014";
