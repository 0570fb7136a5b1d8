"""Malformed calls: each gets the documented status, and its connection stays open."""

import pytest
from hyperframe.frame import DataFrame

from calls import HEALTH, SERVICE, headers, message, opening, status
from peer import head, literal
from watched import READ, SECRET, monitored_gateway

ONE_USER = f"{SERVICE}/GetUserPresencesPurecloud"
MAX_MESSAGE = 4 * 1024 * 1024

OK = (0, None)
MALFORMED = (13, "MALFORMED_REQUEST")
COMPRESSED = (12, "MALFORMED_REQUEST")
UNKNOWN = (12, "UNKNOWN_METHOD")
TOO_LARGE = (8, "MESSAGE_TOO_LARGE")
EXPIRED = (4, "DEADLINE_EXCEEDED")
NO_TOKEN = (16, "MISSING_TOKEN")
MORE_THAN_ONE = (12, "MALFORMED_REQUEST")
NO_GOOD_TOKEN = (16, "MALFORMED_TOKEN")
UNSUPPORTED = "415"
NO_POST = "405"


def bearing(value):
    return headers(READ, ("authorization", value))


def typed(*values):
    return headers(READ, *(("content-type", value) for value in values), without=("content-type",))


def within(*values):
    return headers(READ, *(("grpc-timeout", value) for value in values))


def text(field, value):
    """A string field."""
    return bytes([field << 3 | 2, len(value)]) + value


# The headers, the body, and the expected status.
CALLS = {
    "no_message": (headers(), b"", MALFORMED),
    "half_a_prefix": (headers(), message()[:3], MALFORMED),
    "a_message_that_says_it_is_compressed": (headers(), message(compressed=1), MALFORMED),
    "a_message_that_is_compressed": (headers(READ, ("grpc-encoding", "zstd")), message(compressed=1), COMPRESSED),
    "a_message_that_is_no_gzip": (headers(READ, ("grpc-encoding", "gzip")), message(compressed=1), MALFORMED),
    "a_compression_of_9_kb": (headers(READ, ("grpc-encoding", "x" * 9000)), message(compressed=1), COMPRESSED),
    "a_compression_that_is_not_unicode": (
        headers(READ, ("grpc-encoding", b"\xff\xfe")), message(compressed=1), COMPRESSED,
    ),
    "a_flag_that_nobody_knows": (headers(), message(compressed=7), MALFORMED),
    "less_than_it_says": (headers(), message(b"x" * 5, length=10), MALFORMED),
    "more_than_it_says": (headers(), message(text(1, b"xyz"), length=2), MORE_THAN_ONE),
    "a_message_that_says_it_has_4_gib": (headers(), message(b"x", length=2**32 - 1), TOO_LARGE),
    "a_message_that_says_it_has_a_byte_too_many": (headers(), message(b"x", length=MAX_MESSAGE + 1), TOO_LARGE),
    "a_second_message": (headers(), message() * 2, MORE_THAN_ONE),
    "a_second_message_that_is_none": (headers(), message() + message(b"\xff\xff"), MORE_THAN_ONE),
    "a_hundred_messages": (headers(), message() * 100, MORE_THAN_ONE),
    "text_that_is_not_unicode": (headers(ONE_USER), message(text(1, b"\xff\xfe")), MALFORMED),
    "an_id_of_odd_letters": (headers(ONE_USER), message(text(1, "a/b?c#d%\0\n\r\u202e".encode())), (5, "NOT_FOUND")),
    "an_id_of_dots": (headers(ONE_USER), message(text(1, b"..")), (3, "INVALID_REQUEST")),
    "groups_in_groups": (headers(), message(b"\x13" * 10_000), MALFORMED),
    "a_number_of_11_bytes": (headers(), message(b"\x08" + b"\xff" * 10 + b"\x01"), MALFORMED),
    "field_number_0": (headers(), message(b"\x00\x01"), MALFORMED),
    # A malformed timeout is ignored.
    **{f"the_timeout_{name}": (within(value), message(), OK) for name, value in {
        "nothing": "",
        "negative": "-1S",
        "of_9_digits": "123456789S",
        "of_centuries": "99999999H",
        "without_a_unit": "1",
        "without_a_number": "S",
        "with_another_unit": "1s",
        "with_a_sign": "+1S",
        "with_a_point": "1.5S",
        "with_a_space": "1 S",
        "of_other_digits": "\u0661S",
        "not_unicode": b"\xff\xfe",
        "half_a_letter": b"1\xc2",
        "two_in_one": "1S, 2S",
    }.items()},
    "two_timeouts": (within("30S", "0n"), message(), OK),
    "no_time": (within("0S"), message(), EXPIRED),
    "as_good_as_no_time": (within("1n"), message(), EXPIRED),
    "no_authorization": (headers(without=("authorization",)), message(), NO_TOKEN),
    **{f"the_authorization_{name}": (bearing(value), message(), NO_GOOD_TOKEN) for name, value in {
        "nothing": "",
        "bearer": "Bearer",
        "bearer_of_nothing": "Bearer ",
        "of_two_words": f"Bearer {SECRET} {SECRET}",
        "of_another_scheme": f"Basic {SECRET}",
        "with_a_tab": f"Bearer\t{SECRET}",
        "with_a_comma_and_another": f"Bearer {SECRET},Bearer {SECRET}",
        "not_ascii": f"Bearer {SECRET}\u00e9",
        "not_unicode": b"Bearer \xff",
        "without_a_scheme": SECRET,
        "of_a_byte_too_many": "Bearer " + "x" * (16 * 1024 - 6),
        "of_80_kb": "Bearer " + "x" * 80_000,
    }.items()},
    "the_longest_authorization": (bearing("Bearer " + "x" * (16 * 1024 - 7)), message(), OK),
    "two_authorizations": (headers(READ, *[("authorization", f"Bearer {SECRET}")] * 2), message(), NO_GOOD_TOKEN),
    "500_authorizations": (headers(READ, *[("authorization", f"Bearer {SECRET}")] * 500), message(), NO_GOOD_TOKEN),
    "no_content_type": (typed(), message(), UNSUPPORTED),
    **{f"the_content_type_{value}": (typed(value), message(), UNSUPPORTED) for value in (
        "", "application/json", "application/grpc-web", "application/grpcx", "Application/GRPC", "*/*", b"\xff",
    )},
    **{f"the_content_type_{value}": (typed(value), message(), OK) for value in (
        "application/grpc+proto", "application/grpc;charset=utf-8",
    )},
    "no_te": (headers(without=("te",)), message(), OK),
    **{f"the_method_{method[:9]}": (headers(READ, (":method", method)), message(), NO_POST) for method in (
        "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "post", "X" * 3000,
    )},
    "connect": (
        headers(READ, (":method", "CONNECT"), without=(":scheme", ":path")), message(), NO_POST,
    ),
    **{f"the_path_{path[:40]}": (headers(path), message(), UNKNOWN) for path in (
        "/", "*", "/*", "/..", f"/../..{READ}", f"/{READ}", f"{READ}/", f"{READ}%00", READ.lower(),
        READ.replace("G", "%47"), "/%ff", "/\u00fc", "/" + "x" * 8000,
    )},
    "a_query": (headers(f"{READ}?{SECRET}"), message(), OK),
    "a_thousand_cookies": (headers(READ, *[("cookie", f"a={SECRET}")] * 1000), message(), OK),
    "binary_metadata_that_is_none": (headers(READ, ("x-bin", "!")), message(), OK),
    "a_behaviour_of_the_sandbox": (headers(READ, ("x-sandbox-misbehave", "status=500")), message(), OK),
    "a_trace_that_is_none": (headers(READ, ("traceparent", b"\xff"), ("tracestate", "x" * 5000)), message(), OK),
    "attempts_that_are_no_number": (headers(READ, ("grpc-previous-rpc-attempts", "x" * 1000)), message(), OK),
    "another_host": (headers(READ, ("host", "elsewhere")), message(), OK),
    "an_expectation": (headers(READ, ("expect", "100-continue")), message(), OK),
}


@pytest.fixture(scope="module")
def attacked(binary, tmp_path_factory):
    """One gateway for all cases, because each is cheap."""
    log = tmp_path_factory.mktemp("gateway") / "attacked.log"
    with monitored_gateway(binary, log) as gateway:
        yield gateway


@pytest.mark.parametrize(("call", "body", "expected"), CALLS.values(), ids=CALLS)
def test_a_malformed_call_gets_the_documented_status(connect, call, body, expected):
    peer = connect()

    peer.send(head(1, literal(call)), DataFrame(1, data=body, flags=["END_STREAM"]))

    answer = peer.answer(1)
    came = status(answer) if "grpc-status" in answer.headers else answer.headers.get(":status")
    assert came == expected, answer
    assert SECRET not in str(answer)
    # The connection still serves calls.
    peer.send(opening(3, HEALTH), DataFrame(3, data=message(), flags=["END_STREAM"]))
    assert status(peer.answer(3)) == OK
