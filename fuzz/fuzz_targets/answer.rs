//! Decodes a response body of the vendor: the message survives its own encoding.
#![no_main]

#[macro_use]
mod operations;

use libfuzzer_sys::fuzz_target;
use presence_gateway::error::{Error, Failure, UnreadableBody};
use presence_gateway::operation::{Operation, decode};
use prost::Message;

fn check<O: Operation>(body: &[u8])
where
    O::Response: Message + PartialEq,
{
    match decode::<O>(body) {
        Ok((response, _)) => {
            let message = response.encode_to_vec();
            let again = O::Response::decode(message.as_slice()).expect("our own message");
            assert!(again == response, "the encoded message differs from the decoded one");
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
