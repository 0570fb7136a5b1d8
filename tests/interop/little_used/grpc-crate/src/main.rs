//! One call with the crate `grpc`, through the API below its generated code:
//!
//!     grpc-crate-caller HOST:PORT METHOD TOKEN [DEADLINE IN MS]
//!
//! It reads the messages of the request from standard input, one a line, in
//! hexadecimal. It prints `message HEX` for each message of the response, and then
//! `ended CODE N`, where N is the number of metadata entries of the trailers.

use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use grpc::client::{
    CallOptions, Channel, ChannelOptions, Invoke, RecvStream, ResponseStreamItem, SendOptions,
    SendStream,
};
use grpc::core::{RecvMessage, RequestHeaders, SendMessage};
use grpc::credentials::LocalChannelCredentials;
use grpc::metadata::MetadataMap;

/// A message as its bytes.
#[derive(Default)]
struct Raw(Bytes);

impl SendMessage for Raw {
    fn encode(&self) -> Result<Box<dyn Buf + Send + Sync>, String> {
        Ok(Box::new(self.0.clone()))
    }
}

impl RecvMessage for Raw {
    fn decode(&mut self, data: &mut dyn Buf) -> Result<(), String> {
        self.0 = data.copy_to_bytes(data.remaining());
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, method, token, deadline @ ..] = words.as_slice() else {
        panic!("usage: grpc-crate-caller HOST:PORT METHOD TOKEN [DEADLINE IN MS]");
    };
    let requests: Vec<Raw> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| Raw(from_hex(&line.unwrap())))
        .collect();

    let credentials = Arc::new(LocalChannelCredentials::new());
    let channel = Channel::new(
        format!("dns:///{address}"),
        credentials,
        ChannelOptions::default(),
    );
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    let headers = RequestHeaders::new()
        .with_method_name(method)
        .with_metadata(metadata);
    let mut options = CallOptions::new();
    if let [deadline] = deadline {
        options.set_deadline(Instant::now() + Duration::from_millis(deadline.parse().unwrap()));
    }

    let (mut sending, mut receiving) = channel.invoke(headers, options).await;
    for request in &requests {
        // An error means that the call has ended; the trailers have the reason.
        let _ = sending.send(request, SendOptions::new()).await;
    }
    drop(sending);
    let mut message = Raw::default();
    loop {
        match receiving.recv(&mut message).await {
            ResponseStreamItem::Headers(_) => {}
            ResponseStreamItem::Message => println!("message {}", hex(&message.0)),
            ResponseStreamItem::Trailers(trailers) => {
                let code = trailers
                    .status()
                    .as_ref()
                    .map_or_else(|error| format!("{:?}", error.code()), |()| "Ok".to_owned());
                println!("ended {code} {}", trailers.metadata().len());
                return;
            }
            ResponseStreamItem::StreamClosed => unreachable!("the trailers come first"),
        }
    }
}

fn from_hex(text: &str) -> Bytes {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
