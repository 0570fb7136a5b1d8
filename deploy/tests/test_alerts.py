"""Alerts fire in their cases, are documented for the operator, and are the same in every file."""

import re
import subprocess
import sys
import urllib.request

import manifests
import processes
import pytest
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
    port, health, metrics = processes.free_ports(3)
    settings = {
        "PRESENCE_GATEWAY_SANDBOX": "true",
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


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_has_a_severity_and_a_runbook_link(alert):
    rule = manifests.the(manifests.render("production+monitoring"), "PrometheusRule")
    (made,) = [made for group in rule["spec"]["groups"] for made in group["rules"] if made["alert"] == alert]
    assert made["labels"]["severity"] in {"page", "ticket", "note"}
    assert made["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert made["annotations"]["runbook_url"] == f"deploy/README.md#{alert.lower()}"
