"""Alerts fire when they should, are told to the operator, and are the same everywhere."""

import re
import subprocess
import sys

import manifests
import pytest
import yaml

MONITORING = manifests.DEPLOY / "components/monitoring"
RULES = MONITORING / "rules.yaml"
CASES = manifests.DEPLOY / "tests/alerts.yaml"


def alerts():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_can_be_read(tools):
    run(tools / "promtool", "check", "rules", "--lint-fatal", RULES)


def test_the_alerts_fire_when_they_should_and_not_else(tools):
    run(tools / "promtool", "test", "rules", CASES)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    fires, quiet = set(), set()
    for case in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]:
        for asked in case["alert_rule_test"]:
            (fires if asked["exp_alerts"] else quiet).add(asked["alertname"])
    assert fires == alerts().keys()
    assert quiet == alerts().keys()


def test_the_operators_resource_is_made_of_the_rules():
    run(sys.executable, MONITORING / "render", "--check")


def test_every_alert_has_an_entry_in_the_runbook_and_the_other_way_round():
    readme = (manifests.DEPLOY / "README.md").read_text(encoding="utf-8")
    runbook = readme.split("\n## Runbook\n", 1)[1]
    runbook = runbook.split("\n## ", 1)[0]
    assert re.findall(r"^### (\w+)$", runbook, re.MULTILINE) == list(alerts())
    for entry in re.split(r"^### ", runbook, flags=re.MULTILINE)[1:]:
        assert len(entry.split()) > 25, f"this says too little to act on: {entry}"


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_says_how_urgent_it_is_and_where_to_read_on(alert):
    rule = manifests.the(manifests.render("production+monitoring"), "PrometheusRule")
    (made,) = [made for group in rule["spec"]["groups"] for made in group["rules"] if made["alert"] == alert]
    assert made["labels"]["severity"] in {"page", "ticket", "note"}
    assert made["annotations"].keys() == {"summary", "description", "runbook"}
    assert made["annotations"]["runbook"] == f"deploy/README.md#{alert.lower()}"
