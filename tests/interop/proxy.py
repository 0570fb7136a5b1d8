"""Envoy in front of the gateway: one that adds its own span, and one that translates gRPC-Web."""

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from processes import free_port, running

CONFIG = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          codec_type: HTTP2
          generate_request_id: true
          tracing:
            random_sampling: {{ value: 100 }}
            provider:
              name: envoy.tracers.opentelemetry
              typed_config:
                "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                service_name: envoy
                grpc_service:
                  envoy_grpc: {{ cluster_name: collector }}
                  timeout: 1s
          route_config:
            virtual_hosts:
            - name: gateway
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: gateway, timeout: 0s }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - {gateway}
  - {collector}
layered_runtime:
  layers:
  - name: static
    static_layer:
      tracing.opentelemetry.flush_interval_ms: 50
      tracing.opentelemetry.min_flush_spans: 1
"""

WEB_CONFIG = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          route_config:
            virtual_hosts:
            - name: gateway
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                # The gateway ends each call at its deadline.
                route: {{ cluster: gateway, timeout: 0s }}
          http_filters:
          - name: envoy.filters.http.grpc_web
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - {gateway}
"""

CLUSTER = """name: {name}
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
"""


def envoy_program():
    """The path of Envoy in its pip package."""
    package = Path(find_spec("envoy").origin).parent
    found = [path for path in package.rglob("envoy*") if path.is_file() and path.stat().st_size > 1_000_000]
    assert found, f"the package of Envoy holds no program: {list(package.rglob('*'))[:20]}"
    return found[0]


@contextmanager
def envoy_in_front(directory, gateway, collector_port):
    """Runs an Envoy that forwards to the gateway, until the block ends; gives its address."""
    clusters = {
        "gateway": CLUSTER.format(name="gateway", port=gateway.rsplit(":", 1)[1]),
        "collector": CLUSTER.format(name="collector", port=collector_port),
    }
    with _envoy(directory, CONFIG, clusters) as address:
        yield address


@contextmanager
def envoy_for_browsers(directory, gateway):
    """Runs an Envoy that translates gRPC-Web to gRPC, until the block ends; gives its address."""
    clusters = {"gateway": CLUSTER.format(name="gateway", port=gateway.rsplit(":", 1)[1])}
    with _envoy(directory, WEB_CONFIG, clusters) as address:
        yield address


@contextmanager
def _envoy(directory, config, clusters):
    port = free_port()
    file = directory / "envoy.yaml"
    file.write_text(config.format(port=port, **clusters), encoding="utf-8")
    words = [envoy_program(), "--config-path", file, "--disable-hot-restart", "--concurrency", "1"]
    with running(words, port, directory / "envoy.log"):
        yield f"127.0.0.1:{port}"
