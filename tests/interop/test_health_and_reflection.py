"""The standard health and reflection clients work without a token."""

import grpc
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from operations import OPERATIONS, snake_case

SERVICES = sorted({operation.service for operation in OPERATIONS.values()})
TIMEOUT = 10  # seconds


@pytest.fixture
def channel(sandbox_gateway, dial):
    """A channel to a gateway, for calls without a token."""
    with dial(sandbox_gateway) as channel:
        yield channel


@pytest.mark.parametrize("service", ["", *SERVICES, "liveness", "readiness"])
def test_health_is_serving(channel, service):
    request = health_pb2.HealthCheckRequest(service=service)

    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT)

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_a_service_that_does_not_exist_is_not_found(channel):
    request = health_pb2.HealthCheckRequest(service="genesys.presence.v1.NoService")

    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT)

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_health_watch_responds_at_once(channel):
    request = health_pb2.HealthCheckRequest(service="readiness")

    watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=TIMEOUT)

    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_a_watch_of_an_unknown_service_reports_it_and_stays_open(channel):
    request = health_pb2.HealthCheckRequest(service="genesys.presence.v1.NoService")

    watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=TIMEOUT)

    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    # If the watch had ended, its end would arrive before the response to another call.
    health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
    assert watch.is_active()
    watch.cancel()


def reflect(channel, version, *questions):
    """The responses to these requests on one stream.

    The two versions differ only in their name, and grpcio has messages for one of them.
    """
    stream = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    requests = [reflection_pb2.ServerReflectionRequest(**question) for question in questions]
    return list(stream(iter(requests), timeout=TIMEOUT))


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services(channel, version):
    [answer] = reflect(channel, version, {"list_services": ""})

    listed = {service.name for service in answer.list_services_response.service}
    reflection = {f"grpc.reflection.{each}.ServerReflection" for each in ("v1", "v1alpha")}
    assert {*SERVICES, "grpc.health.v1.Health", *reflection} <= listed


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_an_unknown_name_ends_no_reflection_stream(channel, version):
    unknown, known = reflect(
        channel, version,
        {"file_containing_symbol": "no.such.Symbol"},
        {"file_containing_symbol": SERVICES[0]},
    )

    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert "no.such.Symbol" in unknown.error_response.error_message
    assert known.file_descriptor_response.file_descriptor_proto


def test_an_unknown_symbol_is_a_key_error_and_the_database_keeps_working(channel):
    database = ProtoReflectionDescriptorDatabase(channel)

    with pytest.raises(KeyError, match="no.such.Symbol"):
        database.FindFileContainingSymbol("no.such.Symbol")

    assert database.FindFileContainingSymbol(SERVICES[0]).package == "genesys.presence.v1"
    numbers = database.FindAllExtensionNumbers("google.protobuf.MethodOptions")
    assert annotations_pb2.http.number in numbers


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_reflection_has_the_rest_request_of_every_rpc(channel, operation):
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    rpc = pool.FindServiceByName(operation.service).methods_by_name.get(operation.rpc)

    assert rpc is not None, f"{operation.service} has no {operation.rpc}"
    rule = rpc.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    assert (verb.upper(), snake_case_variables(operation)) == (operation.method, getattr(rule, verb))


def snake_case_variables(operation):
    """The vendor's path with the field names as variables."""
    path = operation.path
    for parameter in operation.parameters_in("path"):
        path = path.replace(f"{{{parameter.name}}}", f"{{{snake_case(parameter.name)}}}")
    return path
