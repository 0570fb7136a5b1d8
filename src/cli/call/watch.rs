//! A watch of a running gateway: prints a line for each message.

use std::io::Write;
use std::process::ExitCode;

use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{Request, Status};

use super::channel::{Client, path};
use super::codec::Raw;
use super::deadline::Deadline;
use super::json::to_json;
use super::responses::{self, End, Interruption, Responses};
use crate::cli::signals::FirstSignal;

/// Runs a watch until a signal or the gateway ends it.
pub(super) async fn run(
    mut client: Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    deadline: Deadline,
    is_json: bool,
) -> ExitCode {
    responses::run(async move |signal| {
        let watched = watch(&mut client, method, request, signal, deadline).await;
        let end = End::new(watched, &client).await;
        end.print(method, is_json, "")
    })
    .await
}

async fn watch(
    client: &mut Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    signal: FirstSignal,
    deadline: Deadline,
) -> Result<(), Interruption> {
    let request = request.map(|request| request.encode_to_vec());
    let started = client.grpc.server_streaming(request, path(method)?, Raw);
    let mut responses = Responses::open(started, method, signal, deadline).await?;
    while let Some(message) = responses.next().await? {
        let message = DynamicMessage::decode(method.output(), message.as_slice());
        let line = message
            .map_err(|error| error.to_string())
            .and_then(|message| to_json(&message, false).map_err(|error| error.to_string()));
        let line = line.map_err(|error| {
            Status::internal(format!("the response cannot be decoded: {error}"))
        })?;
        responses.print(move |out| writeln!(out, "{line}")).await?;
    }
    Ok(())
}
