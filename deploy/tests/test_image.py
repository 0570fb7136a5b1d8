"""Checks of the image that need no build."""

import re
import subprocess
import sys
from pathlib import Path

import manifests

DOCKERFILE = manifests.DEPLOY / "Dockerfile"


def test_hadolint_passes():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "--failure-threshold", "style", DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pod_runs_as_the_user_of_the_image(resources):
    (user, group) = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE).groups()
    context = manifests.pod(resources)["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))


def test_the_image_and_the_overlays_have_the_version_of_the_program(resources):
    cargo = (manifests.DEPLOY.parent / "Cargo.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', cargo, re.MULTILINE).group(1)
    assert f"ARG VERSION={version}\n" in DOCKERFILE.read_text(encoding="utf-8")
    assert manifests.container(resources)["image"].endswith(f":{version}")
