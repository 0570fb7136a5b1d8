"""Floods: the gateway closes their connections, or only their sender slows down."""

import pytest
from hyperframe.frame import DataFrame, PingFrame, PriorityFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from calls import HEALTH, REFLECTION, WATCH, headers, message, opening, status
from peer import FRAME, ConnectionClosed, head, integer, literal, raw
from watched import secret_token

NO_ERROR = 0
ENHANCE_YOUR_CALM = 11
REFUSED_STREAM = 7

HEADERS, CONTINUATION = 1, 9
LAST = {"flags": ["END_STREAM"]}


def streams(count):
    """The ids of the first `count` streams."""
    return range(1, 2 * count, 2)


def is_hung_up_on(peer, frames_of):
    """Sends frames for one stream after the other; asserts that the gateway closes the connection for that."""
    for stream in streams(20_000):
        try:
            peer.send(*frames_of(stream))
        except ConnectionClosed:
            break
    assert peer.closed() == ENHANCE_YOUR_CALM


def reset(stream):
    """A call that is cancelled at once."""
    return opening(stream) + RstStreamFrame(stream, error_code=8).serialize()


def test_cancelled_calls_break_no_other_call(attacked, connect):
    """This occurs when many deadlines pass while the gateway gets no processor time."""
    peer = connect()
    call = opening(1) + DataFrame(1, data=message(), **LAST).serialize()

    peer.send(call + b"".join(reset(stream) for stream in streams(1000)[1:]))

    assert status(peer.answer(1)) == (0, None)
    # A connection that had very many concurrent calls gets a GOAWAY when they have ended.
    assert peer.is_alive() or peer.closed() == NO_ERROR


def test_a_flood_of_cancelled_calls_harms_only_its_sender(attacked, connect):
    peer = connect()
    try:
        for stream in streams(20_000):
            peer.send(reset(stream))
    except ConnectionClosed:
        pass
    # A gateway that keeps up leaves the connection open.
    assert peer.is_alive() or peer.closed() in (NO_ERROR, ENHANCE_YOUR_CALM)


def test_calls_that_provoke_resets_close_their_connection(attacked, connect):
    """As above, but each call breaks a rule: its stream depends on itself."""

    def broken(stream):
        on_itself = PriorityFrame(stream, depends_on=stream, stream_weight=1)
        return opening(stream), on_itself

    is_hung_up_on(connect(), broken)


def test_many_malformed_calls_close_their_connection(attacked, connect):
    def malformed(stream):
        return (opening(stream, "/", ("connection", "close")),)

    is_hung_up_on(connect(), malformed)


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x10\x01x\x01y", id="a_header_each"),
        pytest.param(literal([("x", "y" * 16_000)]), id="a_long_header_each"),
    ],
)
def test_endless_headers_close_their_connection(attacked, connect, piece):
    peer = connect()
    peer.send(raw(HEADERS, 0, 1, literal(headers())))

    peer.flood(raw(CONTINUATION, 0, 1, piece), 20_000)

    assert peer.closed() == ENHANCE_YOUR_CALM


# HPACK counts 32 bytes more than the length of a header.
@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param([("x", "")] * 2700, id="many_that_are_small"),
        pytest.param([("x", "y" * 1000)] * 90, id="some_that_are_large"),
        pytest.param([("x", "y" * 90_000)], id="one_that_is_huge"),
    ],
)
def test_metadata_up_to_the_limit_is_accepted_and_freed(attacked, connect, metadata):
    peer = connect()
    for stream in streams(100):
        peer.send(opening(stream, HEALTH, *metadata), DataFrame(stream, data=message(), **LAST))

    for stream in streams(100):
        assert status(peer.answer(stream)) == (0, None)


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param([("x", "")] * 3500, id="many_that_are_small"),
        pytest.param([("x", "y" * 1000)] * 110, id="some_that_are_large"),
        pytest.param([("x", "y" * 110_000)], id="one_that_is_huge"),
    ],
)
def test_metadata_above_the_limit_is_rejected(attacked, connect, metadata):
    peer = connect()
    peer.send(opening(1, HEALTH, *metadata, without=("authorization",)))
    assert peer.answer(1).headers[":status"] == "431"
    assert peer.is_alive()


def test_a_header_that_is_referenced_thousands_of_times_closes_its_connection(attacked, connect):
    peer = connect()
    token = secret_token()
    # With indexing: each further byte stands for 4000.
    bomb = b"\x40" + literal([("x", "y" * 4000)])[1:]
    peer.send(head(1, literal(headers(HEALTH, token=token)) + bomb), DataFrame(1, data=message(), **LAST))
    assert status(peer.answer(1)) == (0, None)
    newest = integer(62, 7)
    newest = bytes([newest[0] | 0x80]) + newest[1:]

    with pytest.raises(ConnectionClosed):
        peer.send(head(3, literal(headers(HEALTH)) + newest * 12_000))
        peer.answer(3)

    assert peer.closed() == ENHANCE_YOUR_CALM


def test_a_header_that_all_calls_reference_within_the_limit_is_not_copied(attacked, connect):
    peer = connect()
    bomb = b"\x40" + literal([("x", "y" * 4000)])[1:]
    peer.send(head(1, literal(headers(HEALTH)) + bomb), DataFrame(1, data=message(), **LAST))
    assert status(peer.answer(1)) == (0, None)

    # 200 calls that wait for their messages, each with 80 KB of headers by reference.
    for stream in list(streams(201))[1:]:
        peer.send(head(stream, literal(headers(token=secret_token())) + b"\xbe" * 20))

    assert peer.is_alive()


@pytest.mark.parametrize(
    ("frame", "count"),
    [
        pytest.param(PingFrame(0, opaque_data=b"flooding").serialize(), 20_000, id="ping"),
        pytest.param(PingFrame(0, opaque_data=b"flooding", flags=["ACK"]).serialize(), 20_000, id="pong"),
        pytest.param(SettingsFrame(0, settings={4: 1}).serialize(), 20_000, id="settings"),
        pytest.param(
            SettingsFrame(0, settings={1: 0}).serialize() + SettingsFrame(0, settings={1: 4096}).serialize(),
            10_000,
            id="table_sizes",
        ),
        pytest.param(PriorityFrame(99, depends_on=1, stream_weight=1).serialize(), 20_000, id="priority"),
        pytest.param(WindowUpdateFrame(0, window_increment=1).serialize(), 20_000, id="window_update"),
        pytest.param(raw(0xFA, 0xFF, 1, b"x" * 100), 20_000, id="unknown_type"),
        pytest.param(raw(0xFA, 0, 0), 20_000, id="empty_unknown_type"),
    ],
)
def test_a_flood_of_useless_frames_harms_only_its_sender(attacked, connect, frame, count):
    peer = connect()

    peer.flood(frame * 1000, count // 1000)

    assert peer.is_alive(), peer
    peer.send(opening(1, HEALTH), DataFrame(1, data=message(), **LAST), WindowUpdateFrame(1, window_increment=9999))
    assert status(peer.answer(1)) == (0, None)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(PingFrame(0, opaque_data=b"flooding").serialize(), id="ping"),
        pytest.param(SettingsFrame(0, settings={4: 1}).serialize(), id="settings"),
    ],
)
def test_a_peer_that_does_not_read_replies_is_not_read_from(attacked, connect, frame):
    peer = connect()

    taken = peer.push(frame * 5000, 64 << 20)

    # The socket buffers of both sides hold about this much.
    assert taken < 32 << 20, f"the gateway read {taken} bytes although nobody reads its replies"


@pytest.mark.parametrize(
    "nothing",
    [
        pytest.param(DataFrame(1, data=b""), id="empty"),
        pytest.param(DataFrame(1, data=b"", pad_length=9, flags=["PADDED"]), id="padding"),
    ],
)
def test_empty_data_frames_close_their_connection(attacked, connect, nothing):
    peer = connect()
    peer.send(opening(1))

    peer.flood(nothing.serialize() * 100, 500)

    assert peer.closed() == ENHANCE_YOUR_CALM


def test_calls_above_the_stream_limit_of_a_connection_are_refused(attacked, connect):
    peer = connect()
    # Their messages never arrive, and each token keeps within its share.
    tokens = [secret_token() for _ in range(20)]
    for number, stream in enumerate(streams(2048)):
        peer.send(opening(stream, token=tokens[number % 20]))
    assert peer.is_alive()
    assert not peer.answers

    peer.send(opening(4097))
    assert peer.answer(4097).reset == REFUSED_STREAM
    assert peer.is_alive()
    is_hung_up_on(peer, lambda stream: (opening(4097 + 2 * stream),))


def test_rejected_calls_that_do_not_end_are_reset_cheaply(attacked, connect):
    """More bodies than the gateway discards concurrently: the oldest are reset."""
    # Fewer per connection than the 256 that cause a GOAWAY.
    peers = [connect() for _ in range(18)]
    for peer in peers:
        for stream in streams(250):
            peer.send(opening(stream, without=("authorization",)), DataFrame(stream, data=message(length=100)))
    for peer in peers:
        peer.until(lambda: len(peer.answers) == 250, "the answers")
        peer.until(lambda: all(answer.reset is not None for answer in peer.answers.values()), "the resets")
        assert {answer.reset for answer in peer.answers.values()} == {NO_ERROR}
        assert {status(answer) for answer in peer.answers.values()} == {(16, "MISSING_TOKEN")}


def test_a_call_that_keeps_sending_after_its_rejection_is_reset(attacked, connect):
    peer = connect()
    peer.send(opening(1, without=("authorization",)))
    refusal = peer.answer(1)
    assert status(refusal) == (16, "MISSING_TOKEN")
    sent = 0
    while refusal.reset is None:
        peer.until(lambda: refusal.reset is not None or min(peer.windows[0], peer.windows[1]) >= FRAME, "room for data")
        peer.send(DataFrame(1, data=b"x" * FRAME))
        for window in (0, 1):
            peer.windows[window] -= FRAME
        sent += FRAME
    assert refusal.reset == NO_ERROR
    # And what may be in flight by then.
    assert 16 << 20 <= sent <= 18 << 20, f"the gateway accepted {sent} bytes"
    assert peer.is_alive()


def test_calls_without_a_message_hold_no_permit(attacked, connect):
    for token in [secret_token() for _ in range(8)]:
        peer = connect()
        for stream in streams(256):
            peer.send(opening(stream, token=token), DataFrame(stream, data=message(length=100)))
        assert peer.is_alive()
        assert not peer.answers, f"the calls are rejected: {peer}"


@pytest.mark.parametrize(
    ("path", "request_of"),
    [
        pytest.param(WATCH, lambda stream: DataFrame(stream, data=message(), **LAST), id="watches"),
        pytest.param(REFLECTION, lambda stream: DataFrame(stream, data=message()[:-1]), id="reflection"),
    ],
)
def test_public_streams_are_limited(attacked, connect, path, request_of):
    refused = 0
    for _ in range(3):
        peer = connect()
        for stream in streams(500):
            peer.send(opening(stream, path, without=("authorization",)), request_of(stream))
        peer.until(lambda: len(peer.answers) == 500, "the answers")
        with_status = [answer for answer in peer.answers.values() if "grpc-status" in answer.headers]
        refused += sum(status(answer) == (14, "OVERLOADED") for answer in with_status)
    assert refused
    # A probe still succeeds. (The connection of a flood gets a GOAWAY when few
    # of its streams are left.)
    probe = connect()
    probe.send(opening(1, HEALTH), DataFrame(1, data=message(), **LAST))
    assert status(probe.answer(1)) == (0, None)
