"""An overlay overrides every component, whichever kubectl builds it.

kubectl changed the order in which it applies an overlay's generators and its
components (kustomize 5.1.0, https://github.com/kubernetes-sigs/kustomize/pull/5170),
so the tests build with the oldest and the newest version that deploy/README.md names.
"""

import re

import manifests
import pytest
import yaml
from manifests import COMPONENTS, named, overlay, render, settings

KUBECTLS = [
    pytest.param("oldest", marks=pytest.mark.skipif("oldest" not in manifests.KUBECTLS, reason="KUBECTL_OLDEST names none")),
    "newest",
]

# References to other resources, and the identity of a resource.
IDENTITY = re.compile(r"/(apiVersion|kind|metadata/name(space)?|.*/(configMapRef|configMap)/name)")


def plain_name(resource):
    """The name of a resource without the hash of its content."""
    return re.sub(r"(?<=-settings)-[a-z0-9]{10}$", "", resource["metadata"]["name"])


def by_name(resources):
    return {(resource["kind"], plain_name(resource)): resource for resource in resources}


def leaves(value, path=""):
    """The scalar values of a resource, by their JSON pointers."""
    if isinstance(value, dict):
        inner = {key.replace("~", "~0").replace("/", "~1"): item for key, item in value.items()}
    elif isinstance(value, list):
        inner = dict(enumerate(value))
    else:
        return {path: value}
    return {pointer: leaf for key, item in inner.items() for pointer, leaf in leaves(item, f"{path}/{key}").items()}


def another(value):
    """A value of the same type."""
    return not value if isinstance(value, bool) else value + ("-changed" if isinstance(value, str) else 1)


@pytest.mark.skipif("oldest" not in manifests.KUBECTLS, reason="KUBECTL_OLDEST names none")
@pytest.mark.parametrize("composition", manifests.COMPOSITIONS)
def test_every_kubectl_builds_the_same_resources(composition):
    assert by_name(render(composition, "oldest")) == by_name(render(composition, "newest"))


@pytest.mark.parametrize("kubectl", KUBECTLS)
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_setting_of_the_overlay_overrides_a_component(component, kubectl):
    composition = f"production+{component}"
    wanted = {name: f"{value}-changed" for name, value in from_config_maps(render(composition, kubectl)).items()}
    generator = {
        "name": "presence-gateway-settings",
        "behavior": "merge",
        "literals": [f"{name}={value}" for name, value in wanted.items()],
    }
    given = settings(manifests.kustomize(overlay(composition) | {"configMapGenerator": [generator]}, kubectl))
    lost = {name: given[name] for name in wanted if given[name] != wanted[name]}
    assert not lost, f"components/{component} overrides values of the overlay: {lost}"


def from_config_maps(resources):
    variables = {variable["name"] for variable in manifests.container(resources).get("env", [])}
    return {name: value for name, value in settings(resources).items() if name not in variables}


def test_a_component_has_settings_to_override():
    # Otherwise the test above could pass for lack of a component's setting.
    base = settings(render("production"))
    assert settings(render("production+mtls")).keys() - base.keys() == {
        "PRESENCE_GATEWAY_TLS_CERT",
        "PRESENCE_GATEWAY_TLS_KEY",
        "PRESENCE_GATEWAY_TLS_CLIENT_CA",
    }


@pytest.mark.parametrize("kubectl", KUBECTLS)
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_patch_of_the_overlay_overrides_a_component(component, kubectl):
    composition = f"production+{component}"
    below = by_name(render("production", kubectl))
    wanted, patches = {}, []
    for (kind, name), resource in by_name(render(composition, kubectl)).items():
        old = leaves(below.get((kind, name), {}))
        new = {path: another(value) for path, value in leaves(resource).items() if old.get(path) != value}
        new = {path: value for path, value in new.items() if not IDENTITY.fullmatch(path)}
        if new:
            wanted[kind, name] = new
            operations = [{"op": "replace", "path": path, "value": value} for path, value in new.items()]
            patches.append({"target": {"kind": kind, "name": name}, "patch": yaml.safe_dump(operations)})
    assert wanted, f"components/{component} changes nothing"
    built = by_name(manifests.kustomize(overlay(composition) | {"patches": patches}, kubectl))
    for key, new in wanted.items():
        given = leaves(built[key])
        lost = {path: given.get(path) for path, value in new.items() if given.get(path) != value}
        assert not lost, f"the overlay's patch of {named(built[key])} is lost, and these are in force: {lost}"
