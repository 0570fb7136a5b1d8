"""The program has every setting of the manifests, accepts its value and serves."""

import manifests
import processes
from manifests import settings

# Variables of the runtime or of libraries; docs/configuration.md and docs/telemetry.md list them.
STANDARD = {"RUST_LOG", "TOKIO_WORKER_THREADS"}

# Variables from the pod, for use in other variables.
OF_THE_POD = {"POD_NAME", "POD_UID", "POD_NAMESPACE", "NODE_NAME"}


def test_every_variable_belongs_to_a_flag_or_is_documented(resources, known):
    assert "PRESENCE_GATEWAY_LISTEN" in known, "the help shows the variables"
    pages = [manifests.DEPLOY.parent / "docs" / name for name in ("configuration.md", "telemetry.md")]
    documented = "".join(page.read_text(encoding="utf-8") for page in pages)
    for name in settings(resources).keys() - OF_THE_POD:
        if name in STANDARD or name.startswith("OTEL_"):
            assert f"`{name}`" in documented, f"no page documents {name}"
        else:
            assert name in known, f"`presence-gateway serve` has no flag for {name}"


def test_the_program_serves_with_the_settings_and_exits_cleanly(resources, gateway, certificates, tmp_path):
    given = settings(resources)
    ports = dict(zip(("LISTEN", "HEALTH_LISTEN", "METRICS_LISTEN"), processes.free_ports(3), strict=True))
    for name, port in ports.items():
        given[f"PRESENCE_GATEWAY_{name}"] = f"127.0.0.1:{port}"
    for name, value in given.items():
        given[name] = value.replace("/etc/presence-gateway/tls", str(certificates)).replace("/etc/presence-gateway/budget", str(tmp_path))
    # The keys of the Secret. The store is not there, and the gateway serves nevertheless.
    for name in ("password", "secret"):
        (tmp_path / name).write_text("0123456789abcdef\n", encoding="utf-8")
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in given:
        # Nothing listens there, and the test calls no upstream.
        (closed,) = processes.free_ports(1)
        given["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{closed}"
    # The program accepted the value of the manifests; the test skips the pause itself.
    given["PRESENCE_GATEWAY_LAME_DUCK"] = "0s"
    with processes.serving(gateway, given, ports["HEALTH_LISTEN"], tmp_path / "log"):
        assert processes.health(ports["HEALTH_LISTEN"], "liveness") == "SERVING"
