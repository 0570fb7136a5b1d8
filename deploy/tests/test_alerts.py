"""Alerts fire in their cases, are documented for the operator, and are the same in every file."""

import json
import re
import subprocess
import sys
import urllib.request

import manifests
import processes
import pytest
import test_readme
import yaml

MONITORING = manifests.DEPLOY / "components/monitoring"
RULES = MONITORING / "rules.yaml"
CASES = manifests.DEPLOY / "tests/alerts.yaml"


def alerts():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def rates():
    """The counters in alert rates: the name and the label matchers of each."""
    for rule in alerts().values():
        for name, matchers in re.findall(r"\b(?:rate|increase)\((\w+)(?:\{([^}]*)\})?\[", rule["expr"]):
            # Not histograms, whose series appear with their first sample.
            if not name.endswith(("_bucket", "_seconds_count")):
                yield name, dict(re.findall(r"(\w+)(?:=~?)\"([^\"]*)\"", matchers))


def samples(page):
    """The samples of a metrics page: name, labels, value."""
    for line in page.splitlines():
        if not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            yield name, dict(re.findall(r'(\w+)="([^"]*)"', labels or "")), float(value)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules(tools):
    run(tools / "promtool", "check", "rules", "--lint-fatal", RULES)


def test_the_alerts_fire_only_in_their_cases(tools):
    run(tools / "promtool", "test", "rules", CASES)


def test_every_alert_has_a_firing_and_a_silent_case():
    fires, quiet = set(), set()
    for case in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]:
        for check in case["alert_rule_test"]:
            (fires if check["exp_alerts"] else quiet).add(check["alertname"])
    assert fires == alerts().keys()
    assert quiet == alerts().keys()


def test_the_prometheus_rule_is_generated_from_the_rules():
    run(sys.executable, MONITORING / "render", "--check")


def test_the_runbook_has_exactly_the_alerts():
    readme = (manifests.DEPLOY / "README.md").read_text(encoding="utf-8")
    runbook = readme.split("\n## Runbook\n", 1)[1]
    runbook = runbook.split("\n## ", 1)[0]
    assert re.findall(r"^### (\w+)$", runbook, re.MULTILINE) == list(alerts())
    table = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \|", runbook, re.MULTILINE)
    assert table == [(name, name.lower(), rule["labels"]["severity"]) for name, rule in alerts().items()]
    for entry in re.split(r"^### ", runbook, flags=re.MULTILINE)[1:]:
        assert len(entry.split()) > 25, f"the entry is too short to act on: {entry}"


def test_counters_of_alert_rates_start_at_zero(gateway, tmp_path):
    port, health, metrics, closed = processes.free_ports(4)
    settings = {
        "PRESENCE_GATEWAY_SANDBOX": "true",
        # Nothing listens there: the counter exists before the store is reached.
        "PRESENCE_GATEWAY_BUDGET_STORE": f"redis://127.0.0.1:{closed}",
        "PRESENCE_GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "PRESENCE_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "PRESENCE_GATEWAY_METRICS_LISTEN": f"127.0.0.1:{metrics}",
        "PRESENCE_GATEWAY_LAME_DUCK": "0s",
    }
    with processes.serving(gateway, settings, health, tmp_path / "log"):
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=processes.WITHIN) as page:
            found = list(samples(page.read().decode()))
    counters = [(name, labels) for name, labels in rates() if not name.startswith("kube_")]
    assert len(counters) >= 10
    for name, labels in counters:
        # At least one series for each value of the matchers, or for the name.
        wanted = [{label: value} for label, values in labels.items() for value in values.split("|")]
        for want in wanted or [{}]:
            counts = [count for known, has, count in found if known == name and want.items() <= has.items()]
            assert counts, f"{name} {want} is missing, so no rate would include its first increment"
            assert not any(counts), f"{name} {want} is not 0: {counts}"


def test_the_up_query_matches_the_job_of_the_service_monitor():
    resources = manifests.render("production+monitoring")
    monitor = manifests.the(resources, "ServiceMonitor")["spec"]
    (service,) = [
        service
        for service in manifests.of_kind(resources, "Service")
        if monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    jobs = {job for rule in alerts().values() for job in re.findall(r'job="([^"]*)"', rule["expr"])}
    assert jobs == {service["metadata"]["labels"][monitor["jobLabel"]]}


def test_the_restart_query_matches_the_container():
    containers = {name for rule in alerts().values() for name in re.findall(r'container="([^"]*)"', rule["expr"])}
    assert containers == {manifests.container(manifests.render("production"))["name"]}


LINKS = yaml.safe_load((MONITORING / "links.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_has_a_severity_and_links_to_its_section_and_its_namespace(alert):
    rule = manifests.the(manifests.render("production+monitoring"), "PrometheusRule")
    (made,) = [made for group in rule["spec"]["groups"] for made in group["rules"] if made["alert"] == alert]
    assert made["labels"]["severity"] in {"critical", "warning", "info"}
    assert made["annotations"].keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert made["annotations"]["runbook_url"] == f"{LINKS['runbook']}#{alert.lower()}"
    assert made["annotations"]["dashboard_url"].startswith(f"{LINKS['grafana']}/d/presence-gateway{{{{")


LINKED = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'presence_gateway_build_info{{namespace="a",version="1"}}', values: '1x60'}}
      - {{series: 'presence_gateway_build_info{{namespace="a",version="2"}}', values: '1x60'}}
    alert_rule_test:
      - alertname: PresenceGatewayVersionsDiffer
        eval_time: 40m
        exp_alerts:
          - exp_labels: {{severity: warning, namespace: a}}
            exp_annotations:
              summary: 2 builds of the gateway are serving.
              description: They differ in version or commit. A roll-out takes minutes; this one is stuck.
              runbook_url: https://wiki.example.org/page#presencegatewayversionsdiffer
              dashboard_url: https://example.org/grafana/d/presence-gateway?var-namespace=a
  - interval: 1m
    input_series: []
    alert_rule_test:
      - alertname: PresenceGatewayAbsent
        eval_time: 10m
        exp_alerts:
          - exp_labels: {{severity: critical}}
            exp_annotations:
              summary: No replica of the presence gateway is scraped.
              description: Either none is running, or Prometheus does not reach port 9464.
              runbook_url: https://wiki.example.org/page#presencegatewayabsent
              dashboard_url: https://example.org/grafana/d/presence-gateway
"""


def test_prometheus_expands_the_links_of_the_plain_rules(tools, tmp_path):
    rules = tmp_path / "rules.yaml"
    run(
        *(sys.executable, MONITORING / "render", "--plain", rules),
        *("--runbook", "https://wiki.example.org/page", "--grafana", "https://example.org/grafana/"),
    )
    run(tools / "promtool", "check", "rules", "--lint-fatal", rules)
    (tmp_path / "cases.yaml").write_text(LINKED.format(rules=rules), encoding="utf-8")
    run(tools / "promtool", "test", "rules", tmp_path / "cases.yaml")


def test_the_dashboard_has_the_uid_and_the_variable_of_the_links():
    dashboard = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    assert dashboard["uid"] == "presence-gateway"
    assert "namespace" in [variable["name"] for variable in dashboard["templating"]["list"]]


# kube-prometheus of August 2026, manifests/alertmanager-secret.yaml.
KUBE_PROMETHEUS = """
inhibit_rules:
- equal: [namespace, alertname]
  source_matchers: ["severity = critical"]
  target_matchers: ["severity =~ warning|info"]
- equal: [namespace, alertname]
  source_matchers: ["severity = warning"]
  target_matchers: ["severity = info"]
- equal: [namespace]
  source_matchers: ["alertname = InfoInhibitor"]
  target_matchers: ["severity = info"]
receivers: [{name: Default}, {name: Watchdog}, {name: Critical}, {name: "null"}]
route:
  group_by: [namespace]
  receiver: Default
  routes:
  - {matchers: ["alertname = Watchdog"], receiver: Watchdog}
  - {matchers: ["alertname = InfoInhibitor"], receiver: "null"}
  - {matchers: ["severity = critical"], receiver: Critical}
"""
ROUTED = {
    "kube-prometheus": {"critical": "Critical", "warning": "Default", "info": "Default"},
    "the example": {"critical": "pager", "warning": "tickets", "info": "notes"},
}


@pytest.mark.parametrize("configuration", ROUTED)
def test_each_alert_is_routed_as_the_runbook_describes(configuration, tools, tmp_path):
    example = {"kube-prometheus": KUBE_PROMETHEUS, "the example": yaml.safe_dump(test_readme.shown("# alertmanager.yaml\n"))}
    file = tmp_path / "alertmanager.yaml"
    file.write_text(example[configuration], encoding="utf-8")
    run(tools / "amtool", "check-config", file)
    for name, rule in alerts().items():
        labels = [f"alertname={name}", "namespace=a", *(f"{label}={value}" for label, value in rule["labels"].items())]
        receiver = ROUTED[configuration][rule["labels"]["severity"]]
        run(tools / "amtool", "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receiver}", *labels)
    assert ROUTED[configuration].keys() == {rule["labels"]["severity"] for rule in alerts().values()}
