"""Traces and metrics with the software of OpenTelemetry and Prometheus."""

import json
import os
import shutil
import subprocess
import time
import urllib.request

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from certificates import CLIENT, Authority
from clients import ANSWERED_WITHIN
from collector import PATIENCE, collecting, receiving, rotel
from proxy import envoy_in_front
from operations import OPERATIONS
from processes import free_port

TRANSPORTS = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
BULK = "get_users_presences_purecloud_bulk"


@pytest.fixture
def collector(tmp_path):
    """A rotel that only this test uses."""
    with collecting(tmp_path / "rotel.log") as collector:
        yield collector


@pytest.fixture
def gateway(start_gateway, recorder, tmp_path):
    """Starts a gateway in front of the recorder, with OpenTelemetry variables."""

    def start(variables, *words):
        log = tmp_path / "gateway.log"
        return start_gateway(log, "--upstream-url", recorder.address, *words, **variables)

    return start


@pytest.fixture
def call(stubs, dial, token):
    """Reads 60 presences in bulk: two batches."""

    def make(address, metadata=()):
        operation = OPERATIONS[BULK]
        request = stubs.request(operation)
        request.ids.extend(f"user-{number}" for number in range(60))
        with dial(address) as channel:
            stubs.method(channel, operation)(
                request,
                metadata=[("authorization", f"Bearer {token}"), *metadata],
                timeout=ANSWERED_WITHIN,
            )

    return make


@pytest.fixture
def caller(collector, call):
    """Calls within a span that the official Python SDK exports; returns its trace."""
    provider = TracerProvider(resource=Resource.create({"service.name": "caller"}))
    exporter = OTLPSpanExporter(endpoint=collector.grpc, insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")

    def make(address):
        with tracer.start_as_current_span("the caller's work") as span:
            carrier = {}
            inject(carrier)
            call(address, list(carrier.items()))
        return f"{span.get_span_context().trace_id:032x}"

    yield make
    provider.shutdown()


def below(kept, trace, parent):
    """The child spans of a parent in a trace."""
    return [span for span in kept.spans if span.trace == trace and span.parent == parent]


def tree(kept, trace, parent=""):
    """The names of a trace's spans as a tree."""
    found = sorted(below(kept, trace, parent), key=lambda span: (span.name, span.id))
    return [(f"{span.service}: {span.name} [{span.kind}]", tree(kept, trace, span.id)) for span in found]


ATTEMPT = ("presence-gateway: GET /api/v2/users/presences/purecloud/bulk [CLIENT]", [])
BATCH = ("presence-gateway: batch [INTERNAL]", [ATTEMPT])
SERVER = (
    "presence-gateway: genesys.presence.v1.PresenceService/GetUsersPresencesPurecloudBulk [SERVER]",
    [BATCH, BATCH],
)


@TRANSPORTS
def test_a_call_joins_its_callers_trace(protocol, collector, gateway, caller):
    with gateway(collector.variables(protocol)) as address:
        trace = caller(address)
        expected = [("caller: the caller's work [INTERNAL]", [SERVER])]
        collector.kept.until(lambda kept: tree(kept, trace) == expected)


@TRANSPORTS
def test_metrics_arrive(protocol, collector, gateway, caller):
    with gateway(collector.variables(protocol)) as address:
        caller(address)
        expected = {
            "http.client.request.duration",
            "presence_gateway.build.info",
            "presence_gateway.bulk.ids",
            "presence_gateway.calls.in_flight",
            "rpc.server.call.duration",
        }
        collector.kept.until(lambda kept: expected <= kept.metrics)


def test_a_proxy_in_front_adds_its_own_span(collector, gateway, caller, tmp_path):
    with (
        gateway(collector.variables("grpc")) as address,
        envoy_in_front(tmp_path, address, collector.grpc_port) as proxy,
    ):
        trace = caller(proxy)

        def is_whole(kept):
            # The proxy chooses the name of its span.
            for root in below(kept, trace, ""):
                for middle in below(kept, trace, root.id):
                    if middle.service == "envoy" and tree(kept, trace, middle.id) == [SERVER]:
                        return True
            return False

        collector.kept.until(is_whole)


def test_a_span_has_no_data_of_the_caller(collector, gateway, caller, token):
    with gateway(collector.variables("grpc")) as address:
        trace = caller(address)
        collector.kept.until(lambda kept: len(below(kept, trace, "")) == 1 and tree(kept, trace)[0][1] == [SERVER])
    spans = repr(collector.kept.spans)
    assert token not in spans
    assert "user-1" not in spans


@TRANSPORTS
def test_an_unreachable_collector_is_logged_once_and_again_on_recovery(protocol, gateway, call, tmp_path):
    def logged():
        lines = (tmp_path / "gateway.log").read_text(encoding="utf-8").splitlines()
        lines = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in lines if "telemetry" in line["message"]]

    def call_until_logged(address, count):
        deadline = time.monotonic() + PATIENCE
        while len(logged()) < count:
            call(address)
            assert time.monotonic() < deadline, f"the log has {logged()}"

    with receiving() as (kept, port):
        grpc_port, http_port = free_port(), free_port()
        endpoint = grpc_port if protocol == "grpc" else http_port
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{endpoint}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }
        with gateway(variables, "--token-requests-per-minute", "0") as address:
            call_until_logged(address, 1)
            with rotel(tmp_path / "rotel.log", kept, port, grpc_port, http_port):
                call_until_logged(address, 2)
                kept.until(lambda kept: kept.spans)
            first, second = logged()
    assert first["level"] == "WARN"
    assert first["setting"] == "OTEL_EXPORTER_OTLP_ENDPOINT"
    assert str(endpoint) in first["endpoint"]
    assert second["message"] == "telemetry is exported again"


def test_a_collector_is_reached_over_tls_with_a_client_certificate(gateway, call, tmp_path):
    authority = Authority()
    files = {"ca": authority.pem}
    server, server_key = authority.issue("127.0.0.1")
    files["client"], files["key"] = authority.issue("gateway", purpose=CLIENT)
    for name, pem in files.items():
        (tmp_path / name).write_bytes(pem)
    credentials = grpc.ssl_server_credentials([(server_key, server)], authority.pem, require_client_auth=True)
    with receiving(credentials) as (kept, port):
        trusted = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca"),
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }
        shown = {
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tmp_path / "client"),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tmp_path / "key"),
        }
        with gateway(trusted) as address:
            call(address)
        # The gateway exits after it has exported what it could.
        assert not kept.spans and not kept.metrics
        with gateway(trusted | shown) as address:
            call(address)
            kept.until(lambda kept: kept.spans and kept.metrics)


def test_the_metrics_page_passes_promtool(gateway, call, stubs, dial):
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not promtool:
        pytest.fail("promtool is not installed: start the tests with tests/interop/run")
    port = free_port()
    with gateway({}, "--metrics-listen", f"127.0.0.1:{port}") as address:
        call(address)
        with dial(address) as channel, pytest.raises(grpc.RpcError):
            operation = OPERATIONS[BULK]
            stubs.method(channel, operation)(stubs.request(operation), timeout=ANSWERED_WITHIN)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            page = answer.read()
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"rpc_server_call_duration_seconds_bucket" in page
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, timeout=PATIENCE, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b""), checked
