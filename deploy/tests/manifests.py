"""Renders the overlays and components as an operator applies them."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parent.parent
# A program of its own beside the gateway, which the chart does not have: test_budget_store.py.
STORE = "shared-budget-store"
COMPONENTS = sorted(path.parent.name for path in DEPLOY.glob("components/*/kustomization.yaml") if path.parent.name != STORE)

# The compositions: an overlay, and components on it. mTLS and a Gateway exclude
# each other in use, but they render together.
COMPOSITIONS = {
    "sandbox": ("sandbox", ()),
    "sandbox+shared-budget": ("sandbox", ("shared-budget",)),
    "production": ("production", ()),
    **{f"production+{component}": ("production", (component,)) for component in COMPONENTS},
    "production+all": ("production", tuple(COMPONENTS)),
}

# The oldest and the newest supported version of Kubernetes: the oldest has stable
# gRPC probes, and stores every field.
KUBERNETES = ("1.27", "1.37")

# The kubectl programs that build it. The oldest one does not exist for every machine.
KUBECTLS = {"newest": Path(sys.executable).parent / "kubectl"}
if "KUBECTL_OLDEST" in os.environ:
    KUBECTLS["oldest"] = Path(os.environ["KUBECTL_OLDEST"])

# Kinds that belong to no namespace.
CLUSTER_WIDE = {"Namespace"}


@functools.cache
def render(composition, kubectl="newest"):
    """The resources of a composition, built by `kubectl`."""
    below, components = COMPOSITIONS[composition]
    if not components:
        return build(DEPLOY / "overlays" / below, kubectl)
    return kustomize(overlay(composition), kubectl)


def overlay(composition):
    """The kustomization of an operator's overlay for a composition, as deploy/README.md documents it."""
    below, components = COMPOSITIONS[composition]
    return {
        "namespace": "presence-gateway-sandbox" if below == "sandbox" else "presence-gateway",
        "resources": [f"PATH/deploy/overlays/{below}"],
        "components": [f"PATH/deploy/components/{component}" for component in components],
    }


def kustomize(kustomization, kubectl="newest"):
    """The resources of an operator's overlay, in which PATH is the repository."""
    directory = Path(tempfile.mkdtemp(prefix=".overlay-", dir=Path(__file__).parent))
    try:
        written = yaml.safe_dump(kustomization).replace("PATH/", f"{os.path.relpath(DEPLOY.parent, directory)}/")
        (directory / "kustomization.yaml").write_text(written, encoding="utf-8")
        return build(directory, kubectl)
    finally:
        shutil.rmtree(directory)


def build(directory, kubectl="newest"):
    """The resources of a directory with a kustomization."""
    done = subprocess.run([KUBECTLS[kubectl], "kustomize", directory], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{kubectl} kubectl kustomize {directory} failed:\n{done.stderr}"
    assert done.stderr == "", f"{kubectl} kubectl kustomize {directory} warns:\n{done.stderr}"
    return list(yaml.safe_load_all(done.stdout))


def version_of(kubectl):
    """The version of a kubectl, for example 1.25.0."""
    command = [KUBECTLS[kubectl], "version", "--client", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["clientVersion"]["gitVersion"].removeprefix("v")


def of_kind(resources, kind):
    """The resources of a kind."""
    return [resource for resource in resources if resource["kind"] == kind]


def the(resources, kind):
    """The one resource of a kind; of several, the one with the name of the Deployment."""
    found = of_kind(resources, kind)
    if len(found) > 1:
        name = the(resources, "Deployment")["metadata"]["name"]
        found = [each for each in found if each["metadata"]["name"] == name]
    (one,) = found
    return one


def named(resource):
    """The name of a resource in messages."""
    return f"{resource['kind']} {resource['metadata']['name']}"


def pod(resources):
    """The pod template of the Deployment: its metadata and its spec."""
    return the(resources, "Deployment")["spec"]["template"]


def container(resources):
    """The only container of that pod."""
    (only,) = pod(resources)["spec"]["containers"]
    return only


def settings(resources):
    """The environment of the container; a reference to a field of the pod appears as its path.

    Follows the rules of Kubernetes: of two sources of a variable the later one wins,
    and `env` wins over all sources.
    """
    maps = {resource["metadata"]["name"]: resource.get("data", {}) for resource in of_kind(resources, "ConfigMap")}
    environment = {}
    for source in container(resources).get("envFrom", []):
        environment |= maps[source["configMapRef"]["name"]]
    for variable in container(resources).get("env", []):
        if "value" in variable:
            value = variable["value"]
            for name, known in environment.items():
                value = value.replace(f"$({name})", known)
        else:
            value = variable["valueFrom"]["fieldRef"]["fieldPath"]
        environment[variable["name"]] = value
    return environment
