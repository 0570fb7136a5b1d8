//! The codec of the RPCs whose response is encoded before tonic gets it.

use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

use crate::proto::EncodedMessage;

/// The size of the buffer of a message, which grows to that of the message, and the bytes
/// after which a stream yields it. tonic's own buffers of 8 KB take the allocator long:
/// most messages are a request of a few ids, or one presence.
const BUFFER_SIZE: usize = 1000;
const YIELD_THRESHOLD: usize = 32 * 1024;

fn buffer_settings() -> BufferSettings {
    BufferSettings::new(BUFFER_SIZE, YIELD_THRESHOLD)
}

/// Decodes requests of the type `T`, and passes on encoded responses.
#[derive(Debug)]
pub(crate) struct EncodedCodec<T>(PhantomData<T>);

/// Passes on encoded messages.
#[derive(Debug)]
pub(crate) struct EncodedEncoder;

impl<T> Default for EncodedCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Default + Send + 'static> Codec for EncodedCodec<T> {
    type Encode = EncodedMessage;
    type Decode = T;
    type Encoder = EncodedEncoder;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> EncodedEncoder {
        EncodedEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstDecoder::new(buffer_settings())
    }
}

/// Passes on messages without their types.
#[derive(Debug)]
pub(super) struct RawCodec;

/// Reads messages without their types.
#[derive(Debug)]
pub(super) struct RawDecoder;

impl Codec for RawCodec {
    type Encode = EncodedMessage;
    type Decode = Bytes;
    type Encoder = EncodedEncoder;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> EncodedEncoder {
        EncodedEncoder
    }

    fn decoder(&mut self) -> RawDecoder {
        RawDecoder
    }
}

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffer_settings()
    }
}

impl Encoder for EncodedEncoder {
    type Item = EncodedMessage;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        buffer_settings()
    }

    fn encode(
        &mut self,
        message: EncodedMessage,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        let bytes = message.as_bytes();
        buffer.reserve(bytes.len());
        buffer.put_slice(bytes);
        Ok(())
    }
}
