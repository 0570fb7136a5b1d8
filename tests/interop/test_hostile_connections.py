"""Connections that send invalid data, little or none, and slowly: they block no other caller."""

import socket
import struct
import time

import pytest
from hyperframe.frame import DataFrame, SettingsFrame, WindowUpdateFrame

from calls import BULK_READ, HEALTH, SERVICE, headers, message, opening, status
from peer import ANSWERED_WITHIN, PREFACE, ConnectionClosed, head, literal
from watched import READ, secret_token

INITIAL_WINDOW_SIZE = 4

OK = (0, None)
OVERLOADED = (14, "OVERLOADED")
LATE = (4, "DEADLINE_EXCEEDED")
ONES_SHARE = (8, "TOKEN_OVERLOADED")

# The limit for a handshake and for a message to arrive, in seconds.
OPENING = ARRIVAL = 10

USERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(1, 101)]


def whole(stream, path=READ, *, token=None):
    """A complete call."""
    return opening(stream, path, token=token) + DataFrame(stream, data=message(), flags=["END_STREAM"]).serialize()


HTTP_1 = {
    "a request": b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "a call": f"POST {READ} HTTP/1.1\r\nhost: gateway\r\ntransfer-encoding: chunked\r\n\r\n".encode(),
    "an upgrade": b"GET / HTTP/1.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: \r\n\r\n",
    # A closed connection would look like a failure of the network.
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 508,
    "a line that does not end": b"GET /" + b"x" * 30_000,
    "many requests": b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n" * 300,
}

NOT_HTTP = {
    "a request without a protocol": b"GET /\r\n\r\n",
    "a word that does not end": b"x" * 100_000,
    "a preface with another letter": PREFACE.replace(b"SM", b"sm") + SettingsFrame(0).serialize(),
    "a preface of another version": PREFACE.replace(b"2.0", b"2.1"),
    "text after the preface": PREFACE + b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n",
    "mail": b"EHLO gateway\r\n",
    "zeros": b"\x00" * 100_000,
    "ones": b"\xff" * 100_000,
}


def test_a_connection_without_http_2_is_closed_at_once(attacked, connect):
    begun = time.monotonic()
    for what, data in NOT_HTTP.items():
        for _ in range(20):
            peer = connect(handshakes=False)
            try:
                peer.send(data)
            except ConnectionClosed:
                pass
            peer.closed()
            assert not peer.answers and not peer.text.startswith(b"HTTP"), f"{what} is answered: {peer}"
    assert time.monotonic() - begun < OPENING / 2


def test_a_request_in_http_1_is_answered_with_what_the_port_is(attacked, connect):
    begun = time.monotonic()
    for what, data in HTTP_1.items():
        for _ in range(20):
            peer = connect(handshakes=False)
            peer.send(data)
            peer.closed()
            head, _, body = peer.text.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 "), f"{what} is not answered: {peer.text}"
            assert b"presence-gateway call" in body, f"{what}: {body}"
            assert peer.text.count(b"HTTP/1.1 400 ") == 1, f"{what} is answered more than once"
    assert time.monotonic() - begun < OPENING / 2


def test_a_request_in_http_1_that_does_not_end_has_ten_seconds(attacked, connect):
    begun = time.monotonic()
    hesitant = connect(handshakes=False)
    endless = connect(handshakes=False)
    endless.send(b"POST / HTTP/1.1\r\n")
    line = iter(b"GET /" + b"x" * 1000)
    while not hesitant.is_closed:
        for peer in (hesitant, endless):
            try:
                peer.send(bytes([next(line)]))
            except ConnectionClosed:
                pass
        hesitant.wait(0.5)
        assert time.monotonic() - begun < 2 * OPENING, "the limit is longer"
    endless.closed()
    assert endless.text.startswith(b"HTTP/1.1 400 ") and not hesitant.text


def test_a_call_may_arrive_byte_by_byte(attacked, connect):
    peer = connect(handshakes=False)
    # Send no other frame between the bytes.
    peer.acknowledges = False
    for byte in PREFACE + SettingsFrame(0).serialize() + whole(1):
        peer.send(bytes([byte]))

    assert status(peer.answer(1)) == OK


def test_a_slow_handshake_or_message_has_ten_seconds(attacked, connect):
    silent = [connect(handshakes=False) for _ in range(200)]
    begun = time.monotonic()
    stopped = connect(handshakes=False)
    stopped.send(PREFACE[:-1])
    hesitant = connect(handshakes=False)
    calls = connect()
    calls.send(opening(1))
    calls.send(opening(3), DataFrame(3, data=message(b"x" * 100)[:-1]))
    calls.send(opening(5), DataFrame(5, data=message()))
    calls.send(head(7, literal(headers(READ, ("grpc-timeout", "1S")))))
    calls.send(opening(9, HEALTH))
    slow = connect()
    slow.send(opening(1))

    assert status(calls.answer(7)) == LATE
    assert time.monotonic() - begun < ARRIVAL / 2

    # A byte now and then does not extend the limit.
    pieces = iter(range(1000))
    while not (hesitant.is_closed and slow.answers):
        piece = next(pieces)
        try:
            hesitant.send(PREFACE[piece : piece + 1])
        except ConnectionClosed:
            pass
        slow.send(DataFrame(1, data=b"\0" if piece else b"\0\0\0\xff\xff"))
        slow.wait(0.5)
        assert time.monotonic() - begun < 2 * OPENING, "the limit is longer"

    for peer in [*silent, stopped]:
        peer.closed()
    assert status(slow.answer(1)) == LATE
    for stream in (1, 3, 5, 9):
        assert status(calls.answer(stream)) == LATE
    took = time.monotonic() - begun
    assert OPENING <= took < OPENING + 5, f"it took {took:.1f} s"
    assert calls.is_alive()


# Sixteen permits: background calls need one, and a token has four.
@pytest.mark.parametrize("attacked", [("--max-in-flight", "16", "--default-deadline", "1s")], indirect=True)
def test_a_peer_that_does_not_read_its_response_loses_its_permit_soon(attacked, connect):
    question = message(b"".join(b"\x0a\x24" + user.encode() for user in USERS))
    tokens = [secret_token() for _ in range(3)]
    # One peer reads nothing, one a byte now and then, and one stops after a while.
    peers = [connect({INITIAL_WINDOW_SIZE: window}) for window in (0, 1, 5000)]
    streams = (1, 3, 5, 7)
    begun = time.monotonic()
    for peer, token in zip(peers, tokens):
        for stream in streams:
            peer.send(opening(stream, BULK_READ, token=token), DataFrame(stream, data=question, flags=["END_STREAM"]))
        peer.until(lambda: len(peer.answers) == len(streams), "the heads of the answers")
        peer.send(whole(9, token=token), WindowUpdateFrame(9, window_increment=9999))
        assert status(peer.answer(9)) == ONES_SHARE

    # The deadline of a second, and five seconds for the rest of the response.
    while not all(peer.answers[stream].has_ended for peer in peers for stream in streams):
        assert time.monotonic() - begun < 12, f"the permits are not released: {peers}"
        for peer in peers:
            for stream in streams:
                if peer is peers[1] and not peer.answers[stream].has_ended:
                    peer.send(WindowUpdateFrame(stream, window_increment=1))
            peer.wait(0.1)
    for peer, token in zip(peers, tokens):
        assert all(peer.answers[stream].reset is not None for stream in streams), peer
        peer.send(whole(11, token=token), WindowUpdateFrame(11, window_increment=9999))
        assert status(peer.answer(11)) == OK


def test_thousands_of_silent_connections_block_no_other(attacked, connect):
    greeted = [connect() for _ in range(1500)]
    silent = [connect(handshakes=False) for _ in range(1500)]
    attacked.others.wait_until_served()

    assert len(silent) == 1500
    for peer in greeted[::100]:
        peer.send(whole(1))
        assert status(peer.answer(1)) == OK


def test_short_lived_connections_leak_nothing(attacked, connect):
    host, port = attacked.address.rsplit(":", 1)
    for number in range(1500):
        with socket.create_connection((host, int(port)), timeout=ANSWERED_WITHIN) as connection:
            if number % 3:
                connection.sendall(PREFACE + SettingsFrame(0).serialize() + whole(1))
            if number % 2:
                # No GOAWAY and no FIN: the connection is reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_incomplete_messages_share_a_memory_limit(attacked, connect):
    attacked.margin = 128 + 96
    almost = message(b"x" * (4 * 1024 * 1024 - 100), length=4 * 1024 * 1024)
    peers = [connect() for _ in range(3)]
    for peer in peers:
        for stream in range(1, 41, 2):
            peer.send(opening(stream))
            peer.deliver(stream, almost, ends=False)
        attacked.others.wait_until_served()

    assert peers[0].is_alive()
    # 240 MiB arrive, so the oldest messages are rejected.
    refused = [status(answer) for answer in peers[0].answers.values() if answer.headers]
    assert refused and set(refused) <= {OVERLOADED, LATE}, refused


def test_the_metadata_of_waiting_calls_is_not_kept(attacked, connect):
    block = [(f"x-{number}", "y" * 1000) for number in range(85)]
    for _ in range(4):
        peer = connect()
        token = secret_token()
        for stream in range(1, 401, 2):
            peer.send(head(stream, literal(headers(READ, *block, token=token))))
        assert peer.is_alive()


def test_a_map_with_a_hundred_thousand_keys_is_rejected(attacked, connect):
    def field(number, value):
        length = len(value)
        octets = []
        while length > 127:
            octets.append(length & 127 | 128)
            length >>= 7
        return bytes([number << 3 | 2, *octets, length]) + value

    labels = b"".join(field(4, field(1, b"%x" % number) + field(2, b"")) for number in range(100_000))
    peer = connect()
    peer.send(opening(1, f"{SERVICE}/PostPresenceDefinitions"))
    peer.deliver(1, message(field(1, labels)))

    code, _ = status(peer.answer(1))
    assert code in (3, 8), peer


def test_endlessly_nested_groups_are_rejected(attacked, connect):
    peer = connect()
    peer.send(opening(1))
    peer.deliver(1, message(b"\x13" * (1 << 20)))

    assert status(peer.answer(1)) == (13, "MALFORMED_REQUEST")
