"""deploy/README.md tells of everything that is here, and of nothing that is not."""

import re

import manifests
import yaml

README = manifests.DEPLOY / "README.md"


def text():
    return README.read_text(encoding="utf-8")


def test_every_overlay_and_component_is_told_of():
    for kind in ("overlays", "components"):
        for found in sorted((manifests.DEPLOY / kind).iterdir()):
            assert f"| `{kind}/{found.name}` |" in text()


def test_what_is_named_is_there():
    for name in re.findall(r"`((?:base|overlays|components)[/\w.-]*)`", text()):
        assert (manifests.DEPLOY / name).exists(), name
    for link in re.findall(r"\]\(([^)#]+)\)", text()):
        assert (README.parent / link).exists(), link


def test_it_answers_what_an_operator_asks():
    sections = re.findall(r"^## (.+)$", text(), re.MULTILINE)
    assert sections == [
        "Install", "Upgrade", "Roll back", "Scale", "Rotate certificates", "Read the dashboard", "Runbook", "Check",
    ]  # fmt: skip


def test_the_overlay_that_it_shows_comes_to_what_it_says():
    (shown,) = re.findall(r"```yaml\n# kustomization.yaml\n(.+?)```", text(), re.DOTALL)
    kustomization = yaml.safe_load(shown.replace("YOUR-REGISTRY", "registry.example.org"))
    kustomization["images"][0]["digest"] = "sha256:" + "0" * 64
    resources = manifests.kustomize(kustomization)
    assert manifests.settings(resources)["PRESENCE_GATEWAY_REGION"] == "eu-central-1"
    assert manifests.container(resources)["image"] == f"registry.example.org/presence-gateway@sha256:{'0' * 64}"
    assert {r["metadata"].get("namespace", "presence-gateway") for r in resources} == {"presence-gateway"}
    assert manifests.of_kind(resources, "ServiceMonitor")
