"""The local stack is valid, closed to other machines, and works: its parts that are in packages run here."""

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import local_stack
import manifests
import pytest
import test_alerts
import test_dashboard
import yaml
from compose_spec import PyCompose
from monitored import http

SERVICES = local_stack.compose()["services"]
PAGE = manifests.DEPLOY.parent / "docs/local-stack.md"
FILES = sorted(path for path in (manifests.DEPLOY / "stack").rglob("*") if path.is_file())


def check(document):
    """Raises ValueError for a document that is no Compose file."""
    PyCompose.from_json(json.dumps(document)).validate()


def test_the_file_is_valid():
    check(local_stack.compose())


@pytest.mark.parametrize(
    "broken",
    [
        {"healthcheck": {"test": ["CMD", "true"], "intervals": "1s"}},
        {"ports": ["127.0.0.1:x:80"]},
        {"network_mod": "host"},
    ],
)
def test_an_invalid_file_is_reported(broken):
    document = local_stack.compose()
    document["services"]["grafana"] |= broken
    with pytest.raises(ValueError):
        check(document)


def test_images_are_named_by_a_version():
    for name, service in SERVICES.items():
        registry, _, tag = re.fullmatch(r"([\w.]+)/([\w./-]+):(\S+)", service["image"]).groups()
        assert "." in registry or registry == "localhost", f"{name}: podman has no default registry"
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), f"{name}: {tag}"


def test_the_images_that_it_builds_have_the_version_of_the_program():
    cargo = (manifests.DEPLOY.parent / "Cargo.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', cargo, re.MULTILINE)
    assert {s["image"].rpartition(":")[2] for s in SERVICES.values() if "build" in s} == {version}
    assert all("COMMIT" in s["build"]["args"] for s in SERVICES.values() if "build" in s)
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (manifests.DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {s["build"]["target"] for s in SERVICES.values() if "target" in s.get("build", {})} <= set(stages)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_and_no_port_beyond_this_machine(name):
    service = SERVICES[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices", "userns_mode"}
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
    for target, source in local_stack.mounts(service).items():
        assert source.is_file(), f"{target}: {source}"
        assert source.stat().st_mode & 0o004, f"{source}: another user's container cannot read it"
    assert all(volume.endswith(":ro") for volume in service.get("volumes", ()))


def test_every_file_is_used():
    used = {source for service in SERVICES.values() for source in local_stack.mounts(service).values()}
    copied = re.findall(r"^COPY deploy/(stack/\S+)", (manifests.DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(FILES) <= used | {manifests.DEPLOY / name for name in copied}


def test_every_address_is_a_port_of_a_service():
    """A port is one that the gateway's settings, the collector's file or a program's default opens."""
    opened = {
        "gateway": {50051, 8080, 9464},
        "store": {6379},
        "alertmanager": {9093},
        "prometheus": {9090},
        "mail": {1025, 8025},
        "collector": {4317, 4318},
        "traces": {4317, 16686},
    }
    texts = [yaml.safe_dump(service.get("environment", {})) for service in SERVICES.values()]
    texts += [path.read_text(encoding="utf-8") for path in FILES]
    named = re.findall(rf"\b({'|'.join(SERVICES)}):(\d+)\b", "\n".join(texts))
    assert {"gateway", "store", "alertmanager", "mail", "collector", "traces", "prometheus"} == {name for name, _ in named}
    for name, port in named:
        assert int(port) in opened[name], f"{name}:{port}"
    collector = (manifests.DEPLOY / "stack/collector.yaml").read_text(encoding="utf-8")
    assert {int(port) for port in re.findall(r"0\.0\.0\.0:(\d+)", collector)} == opened["collector"]
    settings = SERVICES["gateway"]["environment"].values()
    assert {int(port) for value in settings for port in re.findall(r"0\.0\.0\.0:(\d+)", value)} == opened["gateway"]


def test_the_program_has_the_settings(gateway):
    usage = subprocess.run([gateway, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    docs = manifests.DEPLOY.parent / "docs"
    for name in SERVICES["gateway"]["environment"]:
        if name.startswith("PRESENCE_GATEWAY_SANDBOX_"):
            assert f"`{name}`" in (docs / "sandbox.md").read_text(encoding="utf-8"), name
        elif name.startswith("OTEL_"):
            assert f"`{name}`" in (docs / "telemetry.md").read_text(encoding="utf-8"), name
        else:
            assert re.search(rf"\b{name}\b", usage), name


def test_grafana_has_the_dashboard_and_both_data_sources():
    places = {target: source.name for target, source in local_stack.mounts(SERVICES["grafana"]).items()}
    (folder,) = [
        provider["options"]["path"]
        for provider in yaml.safe_load((manifests.DEPLOY / "stack/grafana/dashboards.yaml").read_text())["providers"]
    ]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert places[home] == "dashboard.json" and home.startswith(f"{folder}/")
    sources = yaml.safe_load((manifests.DEPLOY / "stack/grafana/datasources.yaml").read_text())["datasources"]
    assert [(source["type"], source.get("isDefault", False)) for source in sources] == [("prometheus", True), ("jaeger", False)]
    scraped = yaml.safe_load((manifests.DEPLOY / "stack/prometheus.yaml").read_text())["global"]["scrape_interval"]
    assert sources[0]["jsonData"]["timeInterval"] == scraped


def test_the_query_of_a_span_parses(tools, tmp_path):
    sources = yaml.safe_load((manifests.DEPLOY / "stack/grafana/datasources.yaml").read_text())["datasources"]
    (query,) = sources[1]["jsonData"]["tracesToMetrics"]["queries"]
    # As Grafana expands it for a span with one of the tags.
    expression = query["query"].replace("$$__tags", 'rpc_method="X"')
    rules = {"groups": [{"name": "spans", "rules": [{"record": "span", "expr": expression}]}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    test_alerts.run(tools / "promtool", "check", "rules", tmp_path / "rules.yaml")


def test_alertmanager_routes_each_severity_to_its_address(tools):
    file = manifests.DEPLOY / "stack/alertmanager.yaml"
    for severity, receiver in {"critical": "pager", "warning": "tickets", "info": "notes"}.items():
        words = [f"--config.file={file}", f"--verify.receivers={receiver}", f"severity={severity}"]
        test_alerts.run(tools / "amtool", "config", "routes", "test", *words)


def test_the_page_names_each_published_port():
    page = PAGE.read_text(encoding="utf-8")
    ports = {port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", ())}
    assert {port for port in re.findall(r"127\.0\.0\.1:(\d+)", page)} == ports


# Against the programs themselves.


@pytest.fixture(scope="module")
def stack(gateway, tools, tmp_path_factory):
    """The stack with its load, played from packages."""
    with local_stack.played(gateway, tools, tmp_path_factory.mktemp("stack")) as stack:
        # What the load leaves out or needs a minute for: it fires no alert.
        misbehave(stack, rule_of("PresenceGatewayVendorDrift"))
        misbehave(stack, f"{rule_of('PresenceGatewayVendorThrottles')} times=20")
        yield stack


def rule_of(alert):
    """The rule of the sandbox by which the page lets an alert fire."""
    (rule,) = re.findall(rf"^\| `([^`]+)` \| `{alert}`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return rule


def misbehave(stack, rule):
    http(f"{stack.url('gateway', 8080)}/sandbox/misbehave", f"{rule}\n".encode())


def health_check(stack, port=50051):
    """The result of the health check of the gateway's container, against a port of it."""
    kind, _, *words = SERVICES["gateway"]["healthcheck"]["test"]
    assert kind == "CMD"
    address = stack.url("gateway", port)
    return subprocess.run([stack.gateway, *words, "--address", address], capture_output=True, text=True, check=False)


def test_the_health_check_fails_where_no_gateway_serves(stack):
    assert health_check(stack).returncode == 0
    # The sandbox, which speaks no gRPC.
    assert health_check(stack, 8080).returncode != 0


def test_a_page_of_another_host_cannot_change_the_sandbox(stack):
    """The sandbox listens on all addresses of its container (DNS rebinding)."""
    url = f"{stack.url('gateway', 8080)}/sandbox/users"
    statuses = {}
    for host in ("evil.example", "gateway:8080", "localhost:8080", "127.0.0.1:8080"):
        request = urllib.request.Request(url, headers={"Host": host, "Origin": f"http://{host}"})
        try:
            with urllib.request.urlopen(request, timeout=local_stack.WITHIN) as response:
                statuses[host] = response.status
        except urllib.error.HTTPError as error:
            statuses[host] = error.code
    assert statuses == {"evil.example": 403, "gateway:8080": 200, "localhost:8080": 200, "127.0.0.1:8080": 200}


def test_prometheus_scrapes_the_gateway_and_has_the_rules(stack):
    local_stack.until(
        lambda: [target["health"] for target in stack.prometheus("targets")["activeTargets"]] == ["up"],
        lambda: stack.prometheus("targets"),
    )
    loaded = [rule["name"] for group in stack.prometheus("rules")["groups"] for rule in group["rules"]]
    assert loaded == list(test_alerts.alerts())
    managers = local_stack.until(
        lambda: stack.prometheus("alertmanagers")["activeAlertmanagers"], lambda: "Prometheus knows no Alertmanager"
    )
    assert [manager["url"] for manager in managers] == [f"{stack.url('alertmanager', 9093)}/api/v2/alerts"]


def values(stack, query):
    """The values of a query that are numbers."""
    result = stack.prometheus(f"query?{urllib.parse.urlencode({'query': query})}")["result"]
    return [value for series in result if (value := float(series["value"][1])) == value]


LOAD = [
    ("GetUserPresencesPurecloud", "OK"),
    ("GetUserPresencesPurecloud", "NOT_FOUND"),
    ("GetUserPresencesPurecloud", "UNAUTHENTICATED"),
    ("PatchUserPresencesPurecloud", "OK"),
    ("GetUsersPresencesPurecloudBulk", "OK"),
    ("StreamUsersPresencesPurecloudBulk", "OK"),
    ("PutUsersPresencesBulk", "OK"),
    ("WatchUsersPresences", "DEADLINE_EXCEEDED"),
]


@pytest.mark.parametrize(("rpc", "status"), LOAD)
def test_the_load_makes_calls_of_each_kind(stack, rpc, status):
    query = f'rpc_server_call_duration_seconds_count{{rpc_method=~".*{rpc}", rpc_response_status_code="{status}"}} > 0'
    local_stack.until(lambda: values(stack, query), lambda: f"{query}: none; {stack.log('load')}")


@pytest.mark.parametrize(
    ("panel", "query"), list(test_dashboard.queries()), ids=[title for title, _ in test_dashboard.queries()]
)
def test_each_panel_has_data_under_the_load(stack, panel, query):
    local_stack.until(lambda: values(stack, query), lambda: f"{query} has no result")


def test_traces_arrive_at_the_collector(stack):
    def spans():
        log = stack.log("collector")
        return "presence-gateway" in log and "/GetUserPresencesPurecloud" in log and "GET /api/v2/users" in log

    local_stack.until(spans, lambda: stack.log("collector")[-3000:])


def test_an_alert_fires_as_the_page_describes_and_reaches_the_pager_with_its_links(stack):
    alert = "PresenceGatewayVendorFailing"
    misbehave(stack, rule_of(alert))
    text = stack.inbox.await_mail("pager@example.com", ["FIRING", alert, "local", "critical"], 2 * local_stack.WITHIN)
    for words in (
        f"alertname = {alert}",
        "namespace = local",
        "severity = critical",
        "dashboard_url = http://127.0.0.1:3000/d/presence-gateway?var-namespace=local",
        f"runbook_url = {test_alerts.LINKS['runbook']}#{alert.lower()}",
    ):
        assert words in text, f"{words} is not in {text}"
    (active,) = [
        active
        for active in json.loads(http(f"{stack.url('alertmanager', 9093)}/api/v2/alerts"))
        if active["labels"]["alertname"] == alert
    ]
    assert active["receivers"] == [{"name": "pager"}]
    assert active["annotations"].keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert active["generatorURL"].startswith("http://127.0.0.1:9090/")
    # The rule takes all requests, so the rules of the load are not used up meanwhile.
    rules = [{**rule, "number": None} for rule in json.loads(http(f"{stack.url('gateway', 8080)}/sandbox/misbehave"))["rules"]]
    assert not [rule for rule in rules if rules.count(rule) > 1], "the load adds rules that it has added already"
    done = health_check(stack)
    assert done.returncode == 0, f"the gateway is not healthy because the vendor fails: {done.stderr}"
    http(f"{stack.url('gateway', 8080)}/sandbox/misbehave", method="DELETE")
    stack.inbox.await_mail("pager@example.com", ["RESOLVED", alert], 2 * local_stack.WITHIN)
