//! Decodes a response body of the vendor: the bytes are those that prost writes for the
//! message that they are.
#![no_main]

#[macro_use]
mod operations;

use libfuzzer_sys::fuzz_target;
use presence_gateway::error::{Error, Failure, UnreadableBody};
use presence_gateway::operation::{Operation, decode};
use prost::Message;

fn check<O: Operation>(body: &[u8])
where
    O::Response: PartialEq + std::fmt::Debug,
{
    match decode(O::SPEC, body) {
        Ok(decoded) => {
            let bytes = decoded.message.as_bytes();
            let message = O::Response::decode(bytes.clone()).expect("our own message");
            let written = message.encode_to_vec();
            // prost writes the entries of a map in any order.
            let has_map = format!("{message:?}").contains("language_labels: {\"");
            assert!(has_map || written == *bytes, "prost writes another message");
            assert_eq!(written.len(), bytes.len(), "prost writes another length");
            let again = O::Response::decode(written.as_slice()).expect("prost's own message");
            assert!(again == message, "the message has changed");
        }
        Err(what) => {
            let what = UnreadableBody::Other(what);
            let error = Error::Unreadable { spec: O::SPEC, http_status: Some(200), what };
            let status = Failure::from(error).into_status(std::time::Duration::ZERO);
            assert_eq!(status.code(), tonic::Code::Internal);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    if let Some((choice, body)) = data.split_first() {
        with_operation!(*choice, check(body));
    }
});
