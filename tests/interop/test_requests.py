"""With the same arguments, the official SDKs and the gateway send the same request to the vendor."""

import re

import pytest
from dateutil.parser import isoparse
from google.protobuf import json_format

from cases import CASES, derived
from clients import GatewayClient, JavaScriptSdk, PythonSdk, new_token
from operations import OPERATIONS

# The spellings of ISO 8601 that the SDKs and the gateway use.
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

ROWS = [
    pytest.param(operation, arguments, id=f"{operation}-{name}".replace(" ", "_"))
    for operation, cases in CASES.items()
    for name, arguments in cases.items()
]


def test_every_operation_has_a_case():
    missing = sorted(OPERATIONS.keys() - {row for row, cases in CASES.items() if cases})
    assert not missing, f"no case in cases.py for {missing}"
    left_over = sorted(CASES.keys() - OPERATIONS.keys())
    assert not left_over, f"cases.py has cases for {left_over}, which the fixture does not have"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_a_case_can_be_derived_for_every_operation(operation, stubs):
    """Every derived argument is one of the request's fields: a new operation needs no case by hand."""
    for arguments in derived(operation).values():
        json_format.ParseDict(arguments, stubs.request(operation))


@pytest.mark.parametrize(("operation", "arguments"), ROWS)
def test_the_gateway_sends_the_same_requests_as_the_sdks(
    operation, arguments, recorder, recorded_gateway, javascript, stubs, dial
):
    python, node, ours = new_token(), new_token(), new_token()
    PythonSdk(recorder.address, python).call(operation, **arguments)
    JavaScriptSdk(javascript, recorder.address, node).call(operation, **arguments)
    with dial(recorded_gateway) as channel:
        GatewayClient(stubs, channel, ours).call(operation, **arguments)

    sent = essence(recorder.request_with(f"Bearer {ours}"))
    # The JavaScript SDK writes dates as the gateway does, the Python SDK in
    # another spelling of ISO 8601 (`2026-11-23T10:15:30.123000+00:00`).
    assert sent == essence(recorder.request_with(f"Bearer {node}")), "it differs from the JavaScript SDK's"
    assert with_instants(sent) == with_instants(essence(recorder.request_with(f"Bearer {python}"))), (
        "it differs from the Python SDK's"
    )


def essence(request):
    """The parts of a request that matter to the vendor: not the order of parameters, not the headers."""
    return {
        "method": request.method,
        "path": request.segments,
        "query": sorted(request.query),
        "body": request.body,
    }


def with_instants(value):
    """The request with each date as an instant, because spellings differ."""
    if isinstance(value, dict):
        return {key: with_instants(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_instants(each) for each in value]
    if isinstance(value, str) and DATE.fullmatch(value):
        return isoparse(value)
    return value
