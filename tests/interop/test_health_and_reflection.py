"""The standard health and reflection clients are served, without a token."""

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
    """A channel to a gateway; these calls carry no token."""
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


def test_a_watch_of_the_health_answers_at_once(channel):
    request = health_pb2.HealthCheckRequest(service="readiness")

    watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=TIMEOUT)

    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services(channel, version):
    # The two versions differ in their name alone, and grpcio has messages for one of them.
    reflect = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    question = reflection_pb2.ServerReflectionRequest(list_services="")

    answers = list(reflect(iter([question]), timeout=TIMEOUT))

    assert len(answers) == 1
    listed = {service.name for service in answers[0].list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"} <= listed


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_reflection_tells_the_rest_request_of_every_rpc(channel, operation):
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    rpc = pool.FindServiceByName(operation.service).methods_by_name.get(operation.rpc)

    assert rpc is not None, f"{operation.service} has no {operation.rpc}"
    rule = rpc.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    assert (verb.upper(), snake_case_variables(operation)) == (operation.method, getattr(rule, verb))


def snake_case_variables(operation):
    """The vendor's path with its variables named as fields are."""
    path = operation.path
    for parameter in operation.parameters_in("path"):
        path = path.replace(f"{{{parameter.name}}}", f"{{{snake_case(parameter.name)}}}")
    return path
