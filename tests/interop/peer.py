"""An HTTP/2 peer that sends any frames, valid or not."""

import select
import socket
import time
from collections import defaultdict
from contextlib import contextmanager

from hpack import Decoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ANSWERED_WITHIN = 20  # seconds

# The largest frame that HTTP/2 allows by default.
FRAME = 16_384


class ConnectionClosed(Exception):
    """The gateway closed or reset the connection."""


class Answer:
    """The response to one call: its headers and trailers, its data, and its reset if it has one."""

    def __init__(self):
        self.headers = {}
        self.data = b""
        self.reset = None
        self.has_ended = False

    def __repr__(self):
        return f"<{self.headers} {self.data[:80]!r} reset={self.reset} ended={self.has_ended}>"


class Peer:
    """One connection to the gateway, and what the gateway sent on it."""

    def __init__(self, connection):
        self._socket = connection
        self._socket.setblocking(False)
        self._unread = b""
        self._decoder = Decoder()
        self._decoder.max_allowed_table_size = 1 << 16
        self.answers = {}
        self.settings = {}
        self.pongs = 0
        self.goaway = None
        self.is_closed = False
        # The flow-control windows for DATA to the gateway: per stream, and of the connection (0).
        self.windows = defaultdict(lambda: self.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, 65_535))
        self.windows[0] = 65_535
        # Whether the peer acknowledges the gateway's settings and pings.
        self.acknowledges = True

    def handshake(self, settings=()):
        """Sends the preface and these settings, and waits for those of the gateway."""
        self.send(PREFACE, SettingsFrame(0, settings=dict(settings)))
        self.until(lambda: self.settings, "the gateway's settings")

    def send(self, *frames):
        """Sends frames or bytes, and reads what arrives meanwhile."""
        data = b"".join(each if isinstance(each, bytes) else each.serialize() for each in frames)
        left = memoryview(data)
        deadline = time.monotonic() + ANSWERED_WITHIN
        while left:
            ready = self._ready(select.POLLIN | select.POLLOUT, deadline - time.monotonic())
            assert ready, f"the gateway does not read {len(left)} bytes of {len(data)}"
            if ready & ~select.POLLOUT:
                self._receive()
            try:
                left = left[self._socket.send(left[: 1 << 16]) :]
            except BlockingIOError:
                pass
            except OSError as error:
                self._read_remaining()
                raise ConnectionClosed(f"after {len(data) - len(left)} bytes of {len(data)}: {error}") from error

    def flood(self, frames, times):
        """Sends the same frames up to `times` times; returns how often, as the connection may close before."""
        for sent in range(times):
            try:
                self.send(frames)
            except ConnectionClosed:
                return sent
        return times

    def deliver(self, stream, data, *, ends=True):
        """Sends DATA within the flow-control windows, until all is sent or the call has ended."""
        at = 0
        while at < len(data) and not self._of(stream).has_ended:
            piece = data[at : at + FRAME]
            self.until(
                lambda: self._of(stream).has_ended or min(self.windows[0], self.windows[stream]) >= len(piece),
                f"room for the data of stream {stream}",
            )
            for window in (0, stream):
                self.windows[window] -= len(piece)
            at += len(piece)
            last = ends and at == len(data)
            self.send(DataFrame(stream, data=piece, flags=["END_STREAM"] if last else []))

    def push(self, data, most):
        """Sends the same bytes repeatedly without reading; returns how many bytes the gateway accepts."""
        taken = 0
        while taken < most and self._ready(select.POLLOUT, 1):
            taken += self._socket.send(data)
        return taken

    def until(self, is_so, what):
        """Reads until a condition holds."""
        deadline = time.monotonic() + ANSWERED_WITHIN
        while not is_so():
            left = deadline - time.monotonic()
            assert left > 0, f"{what} did not arrive; received {self}"
            if self.is_closed:
                raise ConnectionClosed(f"before {what}; received {self}")
            if self._ready(select.POLLIN, left):
                self._receive()

    def wait(self, seconds):
        """Reads for this time, or until the connection closes."""
        deadline = time.monotonic() + seconds
        while not self.is_closed and (left := deadline - time.monotonic()) > 0:
            if self._ready(select.POLLIN, left):
                self._receive()

    def answer(self, stream):
        """The complete response to one call, or its reset."""
        self.until(lambda: self._of(stream).has_ended, f"the answer of stream {stream}")
        return self.answers[stream]

    def closed(self):
        """Reads until the gateway closes the connection; returns the error code of its GOAWAY, if it sent one."""
        self.until(lambda: self.is_closed, "the end of the connection")
        return self.goaway

    @property
    def text(self):
        """What the gateway sent that is no frame."""
        return self._unread

    def is_alive(self):
        """Whether the gateway still replies to a ping."""
        before = self.pongs
        try:
            self.send(PingFrame(0, opaque_data=b"alive???"))
            self.until(lambda: self.pongs > before, "a pong")
        except ConnectionClosed:
            return False
        return True

    def __repr__(self):
        return f"<goaway={self.goaway} closed={self.is_closed} answers={self.answers}>"

    def _ready(self, events, seconds):
        """Waits until the connection is ready for one of `events`; returns which, or 0."""
        poll = select.poll()
        poll.register(self._socket, events)
        found = poll.poll(max(0, seconds) * 1000)
        return found[0][1] if found else 0

    def _of(self, stream):
        return self.answers.setdefault(stream, Answer())

    def _read_remaining(self):
        """Reads what the gateway sent before it closed the connection."""
        deadline = time.monotonic() + ANSWERED_WITHIN
        while not self.is_closed and time.monotonic() < deadline:
            if self._ready(select.POLLIN, 0.2):
                self._receive()
            else:
                break

    def _receive(self):
        try:
            received = self._socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self.is_closed = True
            return
        self._unread += received
        while len(self._unread) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._unread[:9]))
            if len(self._unread) < 9 + length:
                break
            frame.parse_body(memoryview(self._unread[9 : 9 + length]))
            self._unread = self._unread[9 + length :]
            self._take(frame)

    def _take(self, frame):
        match frame:
            case SettingsFrame() if "ACK" not in frame.flags:
                self.settings = frame.settings or {None: None}
                self._reply(SettingsFrame(0, flags=["ACK"]))
            case PingFrame() if "ACK" in frame.flags:
                self.pongs += 1
            case PingFrame():
                self._reply(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
            case WindowUpdateFrame():
                self.windows[frame.stream_id] += frame.window_increment
            case GoAwayFrame():
                self.goaway = frame.error_code
            case RstStreamFrame():
                self._of(frame.stream_id).reset = frame.error_code
                self._of(frame.stream_id).has_ended = True
            case HeadersFrame():
                headers = self._decoder.decode(frame.data)
                self._of(frame.stream_id).headers.update(headers)
                self._end(frame)
            case DataFrame():
                self._of(frame.stream_id).data += frame.data
                self._end(frame)

    def _end(self, frame):
        if "END_STREAM" in frame.flags:
            self._of(frame.stream_id).has_ended = True

    def _reply(self, frame):
        if self.acknowledges:
            try:
                self._socket.send(frame.serialize())
            except OSError:
                pass


def literal(headers):
    """A header block without the dynamic table, so that its encoding never changes."""
    return b"".join(b"\x10" + _text(name) + _text(value) for name, value in headers)


def _text(text):
    octets = text if isinstance(text, bytes) else text.encode()
    return integer(len(octets), 7) + octets


def integer(number, bits):
    """An HPACK integer whose prefix has `bits` bits."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([number])
    number, octets = number - most, [most]
    while number >= 128:
        octets.append(number % 128 + 128)
        number //= 128
    return bytes([*octets, number])


def head(stream, block, *, ends=False):
    """A header block as a HEADERS frame and the CONTINUATION frames that it needs."""
    pieces = [block[at : at + FRAME] for at in range(0, len(block), FRAME)] or [b""]
    first = HeadersFrame(stream, data=pieces[0], flags=["END_STREAM"] if ends else [])
    frames = [first, *(ContinuationFrame(stream, data=piece) for piece in pieces[1:])]
    frames[-1].flags.add("END_HEADERS")
    return b"".join(frame.serialize() for frame in frames)


def raw(kind, flags, stream, payload=b"", *, length=None):
    """A frame with exactly these fields, valid or not."""
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


@contextmanager
def connected(address):
    """A connection before its preface."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=ANSWERED_WITHIN)
    try:
        yield Peer(connection)
    finally:
        connection.close()
