"""What the overlays and components come to, as an operator would apply it."""

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
COMPONENTS = sorted(path.parent.name for path in DEPLOY.glob("components/*/kustomization.yaml"))

# What is rendered: an overlay, and components on it. mTLS and a Gateway exclude
# each other in use, but not in form.
COMPOSITIONS = {
    "sandbox": ("sandbox", ()),
    "production": ("production", ()),
    **{f"production+{component}": ("production", (component,)) for component in COMPONENTS},
    "production+all": ("production", tuple(COMPONENTS)),
}

# The versions of Kubernetes that it is for: the oldest has native gRPC probes for
# everyone, and stores every field; the newest is the newest.
KUBERNETES = ("1.27", "1.37")

# What builds it. Where there is no program of the oldest for the machine, there is none.
KUBECTLS = {"newest": Path(sys.executable).parent / "kubectl"}
if "KUBECTL_OLDEST" in os.environ:
    KUBECTLS["oldest"] = Path(os.environ["KUBECTL_OLDEST"])

# Kinds that belong to no namespace.
CLUSTER_WIDE = {"Namespace"}


@functools.cache
def render(composition, kubectl="newest"):
    """The resources of a composition, as that kubectl builds them."""
    below, components = COMPOSITIONS[composition]
    if not components:
        return build(DEPLOY / "overlays" / below, kubectl)
    return kustomize(overlay(composition), kubectl)


def overlay(composition):
    """An overlay of one's own that comes to a composition, as deploy/README.md says to write it."""
    below, components = COMPOSITIONS[composition]
    return {
        "namespace": "presence-gateway-sandbox" if below == "sandbox" else "presence-gateway",
        "resources": [f"PATH/deploy/overlays/{below}"],
        "components": [f"PATH/deploy/components/{component}" for component in components],
    }


def kustomize(kustomization, kubectl="newest"):
    """The resources of an overlay of one's own, in which PATH is the repository."""
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
    """The version of a kubectl, such as 1.25.0."""
    command = [KUBECTLS[kubectl], "version", "--client", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["clientVersion"]["gitVersion"].removeprefix("v")


def of_kind(resources, kind):
    """The resources of a kind."""
    return [resource for resource in resources if resource["kind"] == kind]


def the(resources, kind):
    """The one resource of a kind."""
    (found,) = of_kind(resources, kind)
    return found


def named(resource):
    """What a resource is called in a message."""
    return f"{resource['kind']} {resource['metadata']['name']}"


def pod(resources):
    """The pod that the Deployment makes: its metadata and its spec."""
    return the(resources, "Deployment")["spec"]["template"]


def container(resources):
    """The only container of that pod."""
    (only,) = pod(resources)["spec"]["containers"]
    return only


def settings(resources):
    """The environment that the container starts with; a field of the pod is told as its path.

    As Kubernetes makes it: of the same variable in two sources, the later one counts,
    and `env` before all of them.
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
