"""A real OpenTelemetry collector (rotel), which forwards to a receiver that records."""

import threading
from concurrent import futures
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

from processes import environment, free_port, running

PATIENCE = 20  # seconds


class Span:
    """A span as the tests compare it."""

    def __init__(self, service, span):
        self.service = service
        self.name = span.name
        self.trace = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.kind = span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
        self.attributes = {each.key: _value(each.value) for each in span.attributes}

    def __repr__(self):
        return f"{self.service}: {self.name} [{self.kind}] {self.id} < {self.parent} {self.attributes}"


def _value(value):
    return getattr(value, value.WhichOneof("value"))


class Kept(trace_grpc.TraceServiceServicer):
    """The spans and the names of the metrics that arrived."""

    def __init__(self):
        self.spans = []
        self.metrics = set()
        self._changed = threading.Condition()

    def Export(self, request, context):
        """Receives spans."""
        with self._changed:
            for of_one in request.resource_spans:
                resource = {each.key: _value(each.value) for each in of_one.resource.attributes}
                for scope in of_one.scope_spans:
                    self.spans.extend(Span(resource.get("service.name"), span) for span in scope.spans)
            self._changed.notify_all()
        return trace_pb2.ExportTraceServiceResponse()

    def take_metrics(self, request):
        """Receives metrics."""
        with self._changed:
            for of_one in request.resource_metrics:
                for scope in of_one.scope_metrics:
                    self.metrics.update(metric.name for metric in scope.metrics)
            self._changed.notify_all()

    def until(self, is_enough):
        """Waits until `is_enough` is true of what arrived; returns its value."""
        with self._changed:
            found = self._changed.wait_for(lambda: is_enough(self), PATIENCE)
        assert found, f"not enough arrived: {self.spans} {sorted(self.metrics)}"
        return found


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, kept):
        self._kept = kept

    def Export(self, request, context):
        """Receives metrics."""
        self._kept.take_metrics(request)
        return metrics_pb2.ExportMetricsServiceResponse()


@contextmanager
def receiving(credentials=None):
    """An OTLP receiver that records, and its port; with TLS if `credentials` are given."""
    kept = Kept()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    trace_grpc.add_TraceServiceServicer_to_server(kept, server)
    metrics_grpc.add_MetricsServiceServicer_to_server(_Metrics(kept), server)
    if credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield kept, port
    finally:
        server.stop(None).wait()


class Collector:
    """The ports of a running rotel, and what it forwarded."""

    def __init__(self, kept, grpc_port, http_port):
        self.kept = kept
        self.grpc = f"http://127.0.0.1:{grpc_port}"
        self.http = f"http://127.0.0.1:{http_port}"
        self.grpc_port = grpc_port

    def variables(self, protocol):
        """The variables that make the gateway export to it without delay."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.grpc if protocol == "grpc" else self.http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }


@contextmanager
def rotel(log, kept, port, grpc_port=None, http_port=None):
    """Runs a rotel that forwards to a receiver at `port`, until the block ends."""
    program = Path(find_spec("rotel").origin).parent / "rotel-agent"
    grpc_port, http_port = grpc_port or free_port(), http_port or free_port()
    words = [
        program, "start",
        "--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}",
        "--otlp-http-endpoint", f"127.0.0.1:{http_port}",
        "--exporter", "otlp",
        "--otlp-exporter-endpoint", f"http://127.0.0.1:{port}",
        "--batch-timeout", "50ms",
    ]
    with running(words, grpc_port, log, environment()):
        yield Collector(kept, grpc_port, http_port)


@contextmanager
def collecting(log):
    """Runs a rotel and a receiver behind it."""
    with receiving() as (kept, port), rotel(log, kept, port) as collector:
        yield collector
