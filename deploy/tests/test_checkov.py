"""checkov finds only problems for which checkov-skips.txt has a reason."""

import json
import os
import subprocess
from pathlib import Path

import manifests
import pytest
import yaml

HERE = Path(__file__).parent


def reasons():
    lines = (HERE / "checkov-skips.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def failed(files, framework):
    command = [os.environ["CHECKOV"], "--framework", framework, "--output", "json", "--skip-download", "--quiet"]
    for file in files:
        command += ["--file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 20 and report["summary"]["parsing_errors"] == 0, report["summary"]
    return {(check["check_id"], check["check_name"], check["resource"]) for check in report["results"]["failed_checks"]}


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """The findings of checkov for the manifests and the image."""
    files = []
    for composition in ("sandbox", "production+all"):
        files.append(tmp_path_factory.mktemp("rendered") / f"{composition}.yaml")
        files[-1].write_text(yaml.safe_dump_all(manifests.render(composition)), encoding="utf-8")
    return failed(files, "kubernetes") | failed([manifests.DEPLOY / "Dockerfile"], "dockerfile")


def test_every_finding_of_checkov_has_a_reason(found):
    unexplained = {finding for finding in found if finding[0] not in reasons()}
    assert not unexplained


def test_every_reason_is_still_needed(found):
    assert reasons().keys() == {rule for rule, _, _ in found}
