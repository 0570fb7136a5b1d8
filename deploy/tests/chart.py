"""Renders deploy/chart as Helm does."""

import functools
import json

import helm_python
import manifests
import yaml

CHART = manifests.DEPLOY / "chart"

PRODUCTION = {"region": "us-east-1", "image": {"repository": "registry.example.com/presence-gateway"}}

# The values that stand for each overlay and component.
VALUES = {
    "sandbox": {"sandbox": True},
    "production": PRODUCTION,
    "gateway-api": {
        "gatewayApi": {
            "enabled": True,
            "parentRefs": [{"name": "shared", "namespace": "gateways", "sectionName": "grpcs"}],
            "hostnames": ["presence.example.com"],
        }
    },
    "hpa-in-flight": {"autoscaling": {"callsInFlight": 512}},
    "monitoring": {"monitoring": {"enabled": True}},
    "shared-budget": {"sharedBudget": {"enabled": True, "url": "redis://presence-gateway-budget-store:6379"}},
    "mtls": {"mtls": {"enabled": True, "issuerRef": {"name": "internal-ca"}}},
}


def merged(*values):
    """The values with those of later ones over earlier ones, as Helm merges files of values."""
    both = {}
    for given in values:
        for key, value in given.items():
            both[key] = merged(both.get(key, {}), value) if isinstance(value, dict) else value
    return both


def values_of(composition):
    """The values of a composition of manifests.COMPOSITIONS."""
    overlay, components = manifests.COMPOSITIONS[composition]
    return merged(VALUES[overlay], *(VALUES[component] for component in components))


@functools.cache
def loaded():
    """The chart."""
    return helm_python.Chart.load(CHART)


def files(values, name="presence-gateway", namespace="presence-gateway", chart=None):
    """What each template renders to, by its file's name. Raises helm_python.HelmError."""
    rendered = (chart or loaded()).render(values, name=name, namespace=namespace)
    return {path.partition("/templates/")[2]: text for path, text in rendered.items()}


def resources_in(rendered):
    """The resources in what templates rendered to."""
    found = []
    for path, text in sorted(rendered.items()):
        if path.endswith(".yaml"):
            found += [resource for resource in yaml.load_all(text, Loader=yaml.CSafeLoader) if resource]
    return found


def render(values, name="presence-gateway", namespace="presence-gateway"):
    """The resources of a release."""
    return resources_in(files(values, name, namespace))


def schema():
    """The schema of the values."""
    return json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def defaults():
    """The default of each value by its path, for example `image.tag`."""
    return dict(_leaves(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), schema(), ()))


def _leaves(values, described, path):
    # A map that is empty, or whose keys the schema does not name, is a value itself.
    if not values or "properties" not in described:
        return [(".".join(path), values)]
    return [
        leaf for key, value in values.items() for leaf in _leaves(value, described["properties"].get(key, {}), (*path, key))
    ]


def at(path, value):
    """The values with one value, by its path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value
