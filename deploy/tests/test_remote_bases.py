"""An overlay that reads the bases from a Git repository, as deploy/README.md shows it, builds what a local one does."""

import json
import os
import re
import shutil
import subprocess

import manifests
import pytest
import yaml
from manifests import container, settings

PAGE = (manifests.DEPLOY / "README.md").read_text(encoding="utf-8")
(SHOWN,) = re.findall(r"^```yaml\n(# kustomization.yaml, with remote bases\n.+?)^```", PAGE, re.DOTALL | re.MULTILINE)
(TAG,) = set(re.findall(r"\?ref=(\S+)", SHOWN))
OVER_SSH = "ssh://git@git.example.com/"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The variables by which git finds the repository of the page's addresses on this machine."""
    source, bare = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("bare")
    for part in ("base", "overlays", "components", "chart"):
        shutil.copytree(manifests.DEPLOY / part, source / "deploy" / part, symlinks=True)
    # Not the user's settings, which may sign commits or name a hook.
    alone = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    author = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*author, "commit", "--quiet", "--message", "A release"],
        ["tag", TAG],
        # What a reader of the default branch would get, and one of the tag must not.
        ["rm", "-r", "--quiet", "deploy"],
        [*author, "commit", "--quiet", "--message", "After the release"],
        ["clone", "--quiet", "--bare", ".", bare / "presence-gateway.git"],
    ):
        subprocess.run(["git", *command], cwd=source, env=alone, check=True)
    for address in ("https://git.example.com/", OVER_SSH):
        added = [f"url.file://{bare}/.insteadOf", address]
        subprocess.run(["git", "config", "--file", bare / "config", "--add", *added], check=True)
    return {"GIT_CONFIG_GLOBAL": str(bare / "config"), "GIT_CONFIG_NOSYSTEM": "1"}


def built(kustomization, kubectl, directory):
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return manifests.build(directory, kubectl)


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
@pytest.mark.parametrize("over", ["https", "ssh"])
def test_remote_bases_build_what_local_ones_do(served, kubectl, over, tmp_path, monkeypatch):
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    text = SHOWN if over == "https" else SHOWN.replace("https://git.example.com/", OVER_SSH)
    kustomization = yaml.safe_load(text)
    kustomization["images"][0]["digest"] = "sha256:" + "0" * 64
    remote = built(kustomization, kubectl, tmp_path)
    assert settings(remote)["PRESENCE_GATEWAY_REGION"] == "eu-central-1"
    assert container(remote)["image"].startswith("YOUR-REGISTRY/presence-gateway@sha256:")
    assert manifests.of_kind(remote, "ServiceMonitor")
    at_a_path = re.sub(r"(https|ssh)://[^/]+/presence-gateway\.git//(\S+?)\?ref=v[\d.]+", r"PATH/\2", json.dumps(kustomization))
    assert remote == manifests.kustomize(json.loads(at_a_path), kubectl)


def test_each_address_has_a_form_that_every_kubectl_reads():
    addresses = re.findall(r"\S*git\.example\.com/presence-gateway\S*//deploy/[^\s`]+", PAGE)
    assert len(addresses) >= 3
    for address in addresses:
        assert re.fullmatch(r"`?(https://|ssh://git@)git\.example\.com/presence-gateway\.git//deploy/\S+\?ref=" + re.escape(TAG), address), address
