"""The unchanged official SDKs work against the sandbox, and a gRPC client against a gateway with a sandbox."""

import pytest

import scenarios
from clients import GatewayClient, JavaScriptSdk, PythonSdk
from operations import OPERATIONS


def scenario(operation):
    """The scenario of an operation; fails if there is none."""
    found = getattr(scenarios, operation, None)
    assert found is not None, f"scenarios.py has no {operation}"
    return found


every_operation = pytest.mark.parametrize("operation", OPERATIONS)


@every_operation
def test_the_python_sdk_works_with_the_sandbox(operation, sandbox, token):
    scenario(operation)(PythonSdk(sandbox, token))


@every_operation
def test_the_javascript_sdk_works_with_the_sandbox(operation, sandbox, token, javascript):
    scenario(operation)(JavaScriptSdk(javascript, sandbox, token))


@every_operation
def test_a_grpc_client_works_with_the_gateway_and_its_sandbox(
    operation, start_gateway, dial, stubs, token, tmp_path
):
    with start_gateway(tmp_path / "gateway.log", "--sandbox") as address, dial(address) as channel:
        scenario(operation)(GatewayClient(stubs, channel, token))
