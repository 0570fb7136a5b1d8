"""The API server accepts every resource."""

import functools
import json
import subprocess
import warnings
from pathlib import Path

import chart
import kubernetes_validate
import manifests
import pytest

# API groups of other projects.
FOREIGN = ("cert-manager.io/", "gateway.networking.k8s.io/", "monitoring.coreos.com/", "networking.istio.io/")


def is_foreign(resource):
    return resource["apiVersion"].startswith(FOREIGN)


@pytest.mark.parametrize("version", manifests.KUBERNETES)
def test_kubernetes_resources_are_valid_in_the_oldest_and_newest_version(resources, version):
    for resource in resources:
        if not is_foreign(resource):
            problem = problem_with(json.dumps(resource), version)
            assert problem is None, f"{manifests.named(resource)} in {version}: {problem}"


@functools.cache  # Most resources are in several compositions.
def problem_with(resource, version):
    with warnings.catch_warnings():
        # The validator only warns about a missing schema.
        warnings.simplefilter("error")
        try:
            kubernetes_validate.validate(json.loads(resource), version, strict=True)
        except Exception as error:
            return repr(error)
    return None


def test_an_invalid_or_outdated_resource_is_reported():
    scaler = manifests.the(manifests.render("production"), "HorizontalPodAutoscaler")
    misspelt = scaler | {"spec": scaler["spec"] | {"minReplica": 2}}
    old = scaler | {"apiVersion": "autoscaling/v2beta2"}
    for broken in (misspelt, old):
        assert problem_with(json.dumps(broken), manifests.KUBERNETES[-1]), f"no problem is reported for {broken}"


def check_foreign(resources):
    here = Path(__file__).parent
    done = subprocess.run(
        ["node", "custom-resources.mjs"], cwd=here, input=json.dumps(resources), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_custom_resources_are_valid():
    # Those of the chart in the same run, which takes seconds to begin.
    released = chart.render(chart.values_of("production+all"), "released", "elsewhere")
    foreign = [resource for resource in manifests.render("production+all") + released if is_foreign(resource)]
    kinds = {resource["kind"] for resource in foreign}
    assert kinds == {"Certificate", "GRPCRoute", "PrometheusRule", "ServiceMonitor"}
    assert check_foreign(foreign) == []


def test_an_invalid_field_or_value_is_reported():
    route = next(r for r in manifests.render("production+all") if r["kind"] == "GRPCRoute")
    misspelt = json.loads(json.dumps(route).replace('"backendRefs"', '"backendRef"'))
    wrong = json.loads(json.dumps(route).replace("50051", '"grpc"'))
    unknown = route | {"kind": "GRPCRoutes"}
    for broken in (misspelt, wrong, unknown):
        assert check_foreign([broken]), f"no problem is reported for {broken}"
