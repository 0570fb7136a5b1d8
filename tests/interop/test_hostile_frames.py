"""Frames that violate HTTP/2, from an independent implementation: each closes only its stream or connection."""

import pytest
from hyperframe.frame import DataFrame

from calls import HEALTH, headers, message, opening, status
from peer import FRAME, ConnectionClosed, head, literal, raw
from watched import READ, monitored_gateway

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 1, 1, 4, 8, 32
ALL = END_STREAM | END_HEADERS

# The error codes of RFC 9113. A server may send PROTOCOL_ERROR in place of a more specific one.
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 0, 1, 3, 5, 6, 9

UNIMPLEMENTED = 12
GREATEST = 2**31 - 1


def number(value):
    return value.to_bytes(4, "big")


def block(*more, **named):
    return literal(headers(HEALTH, *more, **named))


def call(stream):
    """A complete call."""
    return opening(stream, HEALTH) + DataFrame(stream, data=message(), flags=["END_STREAM"]).serialize()


# Frames that close the connection, and the most specific code.
ENDS_ITS_CONNECTION = {
    "padding_longer_than_the_data": (opening(1) + raw(DATA, PADDED, 1, b"\xff" + b"x" * 10), PROTOCOL_ERROR),
    "padding_as_long_as_the_data": (opening(1) + raw(DATA, PADDED, 1, b"\x0a" + b"x" * 9), PROTOCOL_ERROR),
    "padding_without_its_length": (opening(1) + raw(DATA, PADDED, 1), FRAME_SIZE_ERROR),
    "padding_longer_than_the_headers": (raw(HEADERS, END_HEADERS | PADDED, 1, b"\xff\x82"), PROTOCOL_ERROR),
    "headers_shorter_than_their_priority": (raw(HEADERS, END_HEADERS | PRIORITISED, 1, b"\0\0"), FRAME_SIZE_ERROR),
    "a_priority_of_another_length": (raw(PRIORITY, 0, 1, number(3)), FRAME_SIZE_ERROR),
    "a_reset_of_another_length": (opening(1) + raw(RST_STREAM, 0, 1, b"\0"), FRAME_SIZE_ERROR),
    "a_ping_of_another_length": (raw(PING, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
    "a_goaway_of_another_length": (raw(GOAWAY, 0, 0, number(0)), FRAME_SIZE_ERROR),
    "a_window_of_another_length": (raw(WINDOW_UPDATE, 0, 0, b"\0\0\1"), FRAME_SIZE_ERROR),
    "settings_of_another_length": (raw(SETTINGS, 0, 0, b"\0\4\0"), FRAME_SIZE_ERROR),
    "an_acknowledgement_that_has_settings": (raw(SETTINGS, ACK, 0, b"\0\4" + number(1)), FRAME_SIZE_ERROR),
    "data_of_no_stream": (raw(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "headers_of_no_stream": (raw(HEADERS, ALL, 0, block()), PROTOCOL_ERROR),
    "a_priority_of_no_stream": (raw(PRIORITY, 0, 0, number(1) + b"\0"), PROTOCOL_ERROR),
    "a_reset_of_no_stream": (raw(RST_STREAM, 0, 0, number(8)), PROTOCOL_ERROR),
    "settings_of_a_stream": (raw(SETTINGS, 0, 1), PROTOCOL_ERROR),
    "a_ping_of_a_stream": (raw(PING, 0, 1, b"12345678"), PROTOCOL_ERROR),
    "a_goaway_of_a_stream": (raw(GOAWAY, 0, 1, number(0) + number(0)), PROTOCOL_ERROR),
    "a_stream_of_the_servers": (raw(HEADERS, ALL, 2, block()), PROTOCOL_ERROR),
    "a_stream_before_the_last_one": (call(5) + call(3), PROTOCOL_ERROR),
    "data_of_a_stream_that_is_not_open": (raw(DATA, END_STREAM, 1, message()), PROTOCOL_ERROR),
    "a_reset_of_a_stream_that_is_not_open": (raw(RST_STREAM, 0, 1, number(8)), PROTOCOL_ERROR),
    "a_window_of_a_stream_that_is_not_open": (raw(WINDOW_UPDATE, 0, 1, number(1)), PROTOCOL_ERROR),
    "a_promise": (opening(1) + raw(PUSH_PROMISE, END_HEADERS, 1, number(2) + block()), PROTOCOL_ERROR),
    "a_continuation_of_nothing": (raw(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
    "a_continuation_of_another_stream": (
        raw(HEADERS, END_STREAM, 1, block()) + raw(CONTINUATION, END_HEADERS, 3),
        PROTOCOL_ERROR,
    ),
    "a_ping_within_headers": (raw(HEADERS, END_STREAM, 1, block()) + raw(PING, 0, 0, b"12345678"), PROTOCOL_ERROR),
    "a_frame_that_is_too_long": (opening(1) + raw(DATA, 0, 1, b"x" * (FRAME + 1)), FRAME_SIZE_ERROR),
    "headers_that_are_too_long": (raw(HEADERS, ALL, 1, b"x" * (FRAME + 1)), FRAME_SIZE_ERROR),
    "a_frame_that_says_it_has_16_mib": (raw(DATA, 0, 1, b"x" * 100, length=2**24 - 1), FRAME_SIZE_ERROR),
    "a_window_that_grows_by_nothing": (raw(WINDOW_UPDATE, 0, 0, number(0)), PROTOCOL_ERROR),
    "a_window_that_overflows": (raw(WINDOW_UPDATE, 0, 0, number(GREATEST)), FLOW_CONTROL_ERROR),
    "a_window_of_all_streams_that_overflows": (
        opening(1)
        + raw(WINDOW_UPDATE, 0, 1, number(GREATEST - 65_535))
        + raw(SETTINGS, 0, 0, b"\0\4" + number(GREATEST)),
        FLOW_CONTROL_ERROR,
    ),
    "a_window_setting_beyond_the_greatest": (raw(SETTINGS, 0, 0, b"\0\4" + number(GREATEST + 1)), FLOW_CONTROL_ERROR),
    "a_frame_setting_below_the_least": (raw(SETTINGS, 0, 0, b"\0\5" + number(1)), PROTOCOL_ERROR),
    "a_push_setting_that_is_neither": (raw(SETTINGS, 0, 0, b"\0\2" + number(2)), PROTOCOL_ERROR),
    "an_acknowledgement_of_no_settings": (raw(SETTINGS, ACK, 0) * 3, PROTOCOL_ERROR),
    "the_header_0": (raw(HEADERS, ALL, 1, b"\x80"), COMPRESSION_ERROR),
    "a_header_beyond_the_table": (raw(HEADERS, ALL, 1, b"\xff\xff\xff\x7f"), COMPRESSION_ERROR),
    "a_number_without_an_end": (raw(HEADERS, ALL, 1, b"\xff" * 20 + b"\x01"), COMPRESSION_ERROR),
    "a_header_that_breaks_off": (raw(HEADERS, ALL, 1, b"\x00\x05ab"), COMPRESSION_ERROR),
    "a_table_that_is_larger_than_allowed": (raw(HEADERS, ALL, 1, b"\x3f\xff\xff\xff\x7f" + block()), COMPRESSION_ERROR),
    "a_table_that_changes_at_the_end": (raw(HEADERS, ALL, 1, block() + b"\x20"), COMPRESSION_ERROR),
    "letters_that_huffman_does_not_have": (raw(HEADERS, ALL, 1, b"\x00\x84\xff\xff\xff\xff\x01x"), COMPRESSION_ERROR),
    "a_name_with_capitals": (head(1, block(("X-Upper", "y"))), PROTOCOL_ERROR),
    "a_name_that_is_empty": (head(1, block(("", "y"))), PROTOCOL_ERROR),
    "a_name_with_a_space": (head(1, block(("a b", "y"))), PROTOCOL_ERROR),
    "a_name_that_nobody_knows_before_all_others": (head(1, literal([(":x", "y"), *headers()])), PROTOCOL_ERROR),
    "a_value_with_a_line_in_it": (head(1, block(("x", "a\r\nauthorization: Bearer b"))), PROTOCOL_ERROR),
    "a_value_with_a_zero": (head(1, block(("x", b"a\0b"))), PROTOCOL_ERROR),
    "a_path_that_is_not_unicode": (head(1, literal(headers(b"/\xff\xfe"))), PROTOCOL_ERROR),
    "a_path_of_70_kb_in_one_frame": (raw(HEADERS, ALL, 1, literal(headers("/" + "x" * 70_000))), FRAME_SIZE_ERROR),
}

# Frames that reset only their stream, and the code.
ENDS_ITS_STREAM = {
    "a_stream_that_depends_on_itself": (
        raw(HEADERS, ALL | PRIORITISED, 1, number(1) + b"\0" + block()),
        PROTOCOL_ERROR,
    ),
    "a_window_that_overflows": (opening(1) + raw(WINDOW_UPDATE, 0, 1, number(GREATEST)), FLOW_CONTROL_ERROR),
    "no_headers": (raw(HEADERS, ALL, 1), PROTOCOL_ERROR),
    "headers_after_the_headers": (opening(1) + raw(HEADERS, END_HEADERS, 1, literal([("x", "y")])), PROTOCOL_ERROR),
    "no_path": (head(1, block(without=(":path",))), PROTOCOL_ERROR),
    "no_method": (head(1, block(without=(":method",))), PROTOCOL_ERROR),
    "no_scheme": (head(1, block(without=(":scheme",))), PROTOCOL_ERROR),
    "two_methods": (head(1, literal([(":method", "POST"), *headers()])), PROTOCOL_ERROR),
    "a_method_after_the_rest": (
        head(1, literal([*headers(without=(":method",)), (":method", "POST")])),
        PROTOCOL_ERROR,
    ),
    "a_status": (head(1, block((":status", "200"))), PROTOCOL_ERROR),
    "a_protocol": (head(1, block((":method", "CONNECT"), (":protocol", "websocket"))), PROTOCOL_ERROR),
    "a_scheme_that_is_none": (head(1, block((":scheme", "f t p"))), PROTOCOL_ERROR),
    "an_authority_that_is_none": (head(1, block((":authority", "a b"))), PROTOCOL_ERROR),
    "connection": (head(1, block(("connection", "close"))), PROTOCOL_ERROR),
    "transfer_encoding": (head(1, block(("transfer-encoding", "chunked"))), PROTOCOL_ERROR),
    "upgrade": (head(1, block(("upgrade", "h2c"))), PROTOCOL_ERROR),
    "te_that_is_not_trailers": (head(1, block(("te", "gzip"))), PROTOCOL_ERROR),
    "more_data_than_its_length": (
        head(1, block(("content-length", "4"))) + raw(DATA, END_STREAM, 1, message()),
        PROTOCOL_ERROR,
    ),
    "less_data_than_its_length": (
        head(1, block(("content-length", "6"))) + raw(DATA, END_STREAM, 1, message()),
        PROTOCOL_ERROR,
    ),
    "two_lengths": (head(1, block(("content-length", "5"), ("content-length", "6"))), PROTOCOL_ERROR),
    "a_length_that_is_none": (head(1, block(("content-length", "five"))), PROTOCOL_ERROR),
    "an_empty_path": (head(1, literal(headers(""))), PROTOCOL_ERROR),
    "a_path_with_a_space": (head(1, literal(headers("/a b"))), PROTOCOL_ERROR),
    "a_path_with_a_zero": (head(1, literal(headers("/a\0b"))), PROTOCOL_ERROR),
    "a_path_with_a_line_in_it": (head(1, literal(headers("/a\r\nx: y"))), PROTOCOL_ERROR),
    "a_path_without_a_slash": (head(1, literal(headers("genesys"))), PROTOCOL_ERROR),
    "a_url_for_a_path": (head(1, literal(headers(f"http://gateway{READ}"))), PROTOCOL_ERROR),
}

# Unusual frames that are legal or may be ignored.
CHANGES_NOTHING = {
    "a_frame_that_nobody_knows": raw(0xFA, 0xFF, 7, b"x" * 100),
    "settings_that_nobody_knows": raw(SETTINGS, 0, 0, b"\xff\xff" + number(7)),
    "flags_that_nobody_knows": raw(PING, 0xFE, 0, b"12345678"),
    "a_stream_with_the_reserved_bit": opening(1) + raw(RST_STREAM, 0, 1 << 31 | 1, number(8)),
    "a_priority_of_a_stream_to_come": raw(PRIORITY, 0, 99, number(1) + b"\0"),
    "a_thousand_changes_of_the_table": raw(HEADERS, END_HEADERS, 1, b"\x20" * 1000 + block()),
    "a_reset_of_a_call_that_has_ended": call(1) + raw(RST_STREAM, 0, 1, number(8)) * 2,
    "a_window_of_a_call_that_has_ended": call(1) + raw(WINDOW_UPDATE, 0, 1, number(1)) * 100,
    "trailers": opening(1, HEALTH) + raw(DATA, 0, 1, message()) + raw(HEADERS, ALL, 1, literal([("x", "y")])),
}


@pytest.fixture(scope="module")
def attacked(binary, tmp_path_factory):
    """One gateway for all cases, because each is cheap."""
    log = tmp_path_factory.mktemp("gateway") / "attacked.log"
    with monitored_gateway(binary, log) as gateway:
        yield gateway


@pytest.mark.parametrize(("frames", "code"), ENDS_ITS_CONNECTION.values(), ids=ENDS_ITS_CONNECTION)
def test_a_connection_error_closes_its_connection(attacked, connect, frames, code):
    peer = connect()

    try:
        peer.send(frames)
    except ConnectionClosed:
        pass

    assert peer.closed() in (code, PROTOCOL_ERROR)
    attacked.others.wait_until_served()


def test_data_above_the_window_closes_the_connection_unless_its_call_has_ended(attacked, connect):
    peer = connect()

    try:
        peer.send(opening(1, "/unread") + raw(DATA, 0, 1, b"x" * FRAME) * 300)
    except ConnectionClosed:
        pass

    if peer.is_alive():
        # The response came amid the data. The gateway discarded the rest until it exceeded the window of its
        # stream, or ignored it. The reset may arrive after the response.
        answer = peer.answer(1)
        assert status(answer)[0] == UNIMPLEMENTED
        peer.until(lambda: answer.reset is not None, "a reset")
        assert answer.reset in (NO_ERROR, FLOW_CONTROL_ERROR)
    else:
        assert peer.closed() in (FLOW_CONTROL_ERROR, PROTOCOL_ERROR)
    attacked.others.wait_until_served()


@pytest.mark.parametrize(("frames", "code"), ENDS_ITS_STREAM.values(), ids=ENDS_ITS_STREAM)
def test_a_stream_error_resets_only_its_stream(attacked, connect, frames, code):
    peer = connect()

    peer.send(frames)

    assert peer.answer(1).reset == code
    peer.send(call(3))
    assert status(peer.answer(3)) == (0, None)


@pytest.mark.parametrize("frames", CHANGES_NOTHING.values(), ids=CHANGES_NOTHING)
def test_unusual_but_legal_frames_change_nothing(connect, frames):
    peer = connect()

    peer.send(frames)

    peer.send(call(101))
    assert status(peer.answer(101)) == (0, None)


def test_a_reused_stream_id_gets_no_second_response(connect):
    peer = connect()
    peer.send(call(1))
    first = peer.answer(1)
    assert status(first) == (0, None)
    data = first.data

    try:
        peer.send(call(1))
        peer.until(lambda: first.reset is not None, "a reset")
        assert first.reset in (STREAM_CLOSED, PROTOCOL_ERROR)
    except ConnectionClosed:
        assert peer.goaway in (STREAM_CLOSED, PROTOCOL_ERROR)
    assert first.data == data


def test_data_of_an_ended_call_is_not_accepted(connect):
    peer = connect()
    peer.send(call(1))
    assert status(peer.answer(1)) == (0, None)

    try:
        peer.flood(raw(DATA, 0, 1, b"x" * FRAME), 200)
        peer.until(lambda: peer.answers[1].reset is not None, "a reset")
        assert peer.answers[1].reset == STREAM_CLOSED
    except ConnectionClosed:
        assert peer.goaway in (STREAM_CLOSED, FLOW_CONTROL_ERROR)
