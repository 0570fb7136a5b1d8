"""Two replicas of the gateway in a mesh like Istio's: a proxy at the caller's side, and one beside each replica.

One Envoy with three listeners stands for the three proxies. Its retries are Istio's
defaults (pilot/pkg/networking/core/route/retry/retry.go): twice towards other pods, on
another replica each time; within the pod only requests that did not reach the program.
"""

import json
import urllib.request
from contextlib import ExitStack, contextmanager

from processes import environment, free_port, running
from proxy import envoy_program

ISTIOS_DEFAULT = {
    "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 5,
}
WITHIN_THE_POD = {"retry_on": "reset-before-request", "num_retries": 2}


class Replica:
    """One gateway and its sidecar proxy."""

    def __init__(self, started, binary, vendor, directory, name):
        self.port, self.metrics_port, self.sidecar_port = free_port(), free_port(), free_port()
        command = [binary, "serve", "--upstream-url", vendor, "--listen", f"127.0.0.1:{self.port}"]
        command += ["--metrics-listen", f"127.0.0.1:{self.metrics_port}"]
        log = directory / f"{name}.log"
        self.process = started.enter_context(running(command, self.port, log, environment()))

    def calls_in_flight(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        (line,) = [line for line in lines if line.startswith("presence_gateway_calls_in_flight")]
        return float(line.rsplit(" ", 1)[1])


@contextmanager
def mesh(binary, vendor, directory, retries):
    """Runs the caller's proxy with the policy `retries` (None: no retries), and the replicas behind it."""
    with ExitStack() as started:
        replicas = [Replica(started, binary, vendor, directory, name) for name in ("first", "second")]
        port = free_port()
        listeners = [_listener(port, "replicas", retries)]
        clusters = [_cluster("replicas", [replica.sidecar_port for replica in replicas])]
        for number, replica in enumerate(replicas):
            listeners.append(_listener(replica.sidecar_port, f"program-{number}", WITHIN_THE_POD))
            clusters.append(_cluster(f"program-{number}", [replica.port]))
        file = directory / "envoy.json"
        resources = {"static_resources": {"listeners": listeners, "clusters": clusters}}
        file.write_text(json.dumps(resources), encoding="utf-8")
        words = [envoy_program(), "--config-path", file, "--disable-hot-restart", "--concurrency", "1"]
        started.enter_context(running(words, port, directory / "envoy.log"))
        yield f"127.0.0.1:{port}", replicas


def _listener(port, cluster, retries):
    route = {"cluster": cluster, "timeout": "0s"} | ({"retry_policy": retries} if retries else {})
    routes = [{"match": {"prefix": "/"}, "route": route}]
    router = _typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")
    manager = _typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=cluster,
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        http_filters=[router],
    )
    return {"address": _address(port), "filter_chains": [{"filters": [manager]}]}


def _cluster(name, ports):
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}
    endpoints = [{"endpoint": {"address": _address(port)}} for port in ports]
    return {
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": {options: http2},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _typed(name, kind, **values):
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}"} | values}


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
