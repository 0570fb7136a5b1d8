"""The chart renders to what the overlays and components are, in any release, and Helm accepts it."""

import copy
import functools
import re
import shutil
import subprocess

import chart
import helm_python
import manifests
import processes
import pytest
import yaml
from manifests import container, named, of_kind, pod, settings, the

# Run here with the `resources` below.
from test_manifests import (  # noqa: F401
    test_a_route_leads_to_a_port_of_a_service as test_a_route_leads_to_a_port_of_a_service,
    test_every_pod_selector_matches_the_pods as test_every_pod_selector_matches_the_pods,
    test_named_ports_are_ports_of_the_container as test_named_ports_are_ports_of_the_container,
    test_the_pod_has_no_access_to_the_cluster_api as test_the_pod_has_no_access_to_the_cluster_api,
)
from test_schemas import (  # noqa: F401
    test_kubernetes_resources_are_valid_in_the_oldest_and_newest_version as test_kubernetes_resources_are_valid_in_the_oldest_and_newest_version,
)
from test_settings import (  # noqa: F401
    test_every_variable_belongs_to_a_flag_or_is_documented as test_every_variable_belongs_to_a_flag_or_is_documented,
    test_the_program_serves_with_the_settings_and_exits_cleanly as test_the_program_serves_with_the_settings_and_exits_cleanly,
)

# What Helm's charts have by convention, and an overlay does not.
OF_HELM = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}

# The longest name that Helm accepts.
LONG = "a-release-with-the-longest-name-that-helm-accepts-53-x"[:53]

OTHER_RELEASE = "production+all, in another release"


@functools.cache
def rendered(composition):
    """The resources of a composition in its own namespace, or of the release above."""
    if composition == OTHER_RELEASE:
        return chart.render(chart.values_of("production+all"), LONG, "elsewhere")
    return chart.render(chart.values_of(composition), namespace=manifests.overlay(composition)["namespace"])


@pytest.fixture(params=["sandbox", "production", OTHER_RELEASE])
def resources(request):
    """The resources of releases that stand for all: the others are held equal to Kustomize's."""
    return rendered(request.param)


def without(names, value):
    """A value without the keys of these names, at any depth."""
    if isinstance(value, dict):
        return {key: without(names, item) for key, item in value.items() if key not in names}
    return [without(names, item) for item in value] if isinstance(value, list) else value


def by_name(resources):
    found = {(resource["kind"], resource["metadata"]["name"]): resource for resource in resources}
    assert len(found) == len(resources), "two resources have one name"
    return found


def with_one_config_map(resources):
    """The resources of Kustomize as the chart has them.

    A chart makes no namespace: `helm install --create-namespace` does. It has one
    ConfigMap for the settings, without a hash in its name.
    """
    resources = copy.deepcopy([resource for resource in resources if resource["kind"] != "Namespace"])
    references = [source["configMapRef"]["name"] for source in container(resources)["envFrom"]]
    maps = {r["metadata"]["name"]: r for r in of_kind(resources, "ConfigMap")}
    last = maps[references[-1]]
    data = {}
    for name in references:
        data |= maps[name].get("data", {})
    one = last | {"metadata": last["metadata"] | {"name": "presence-gateway-settings"}, "data": data}
    container(resources)["envFrom"] = [{"configMapRef": {"name": "presence-gateway-settings"}}]
    return [resource for resource in resources if resource["metadata"]["name"] not in references] + [one]


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
@pytest.mark.parametrize("composition", manifests.COMPOSITIONS)
def test_the_chart_renders_to_the_resources_of_kustomize(composition, kubectl):
    wanted = by_name(with_one_config_map(manifests.render(composition, kubectl)))
    given = by_name(without(OF_HELM | {"checksum/settings"}, rendered(composition)))
    assert given.keys() == wanted.keys()
    for key, resource in wanted.items():
        assert given[key] == resource, f"deploy/chart/templates: {named(resource)} differs from Kustomize's"


@pytest.mark.parametrize("composition", [None, *manifests.COMPOSITIONS])
def test_helm_lint_has_no_warning(composition):
    report = helm_python.lint(chart.CHART, chart.values_of(composition) if composition else None, strict=True)
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


def test_a_wrong_template_is_reported(tmp_path):
    broken = tmp_path / "presence-gateway"
    shutil.copytree(chart.CHART, broken)
    (broken / "templates" / "broken.yaml").write_text("a: {{ .Values.absent.value }}\n", encoding="utf-8")
    assert helm_python.lint(broken, chart.PRODUCTION, strict=True)["errors"]


def test_the_chart_needs_the_oldest_kubernetes_that_the_manifests_need():
    assert chart.loaded().metadata["kubeVersion"] == f">={manifests.KUBERNETES[0]}.0-0"


def test_rendering_twice_gives_the_same_text():
    values = chart.values_of("production+all")
    again = helm_python.Chart.load(chart.CHART)
    assert chart.files(values) == chart.files(values, chart=again)


@pytest.mark.parametrize(
    ("name", "namespace", "wanted"),
    [
        ("presence-gateway", "presence-gateway", "presence-gateway"),
        ("presence-gateway-eu", "eu", "presence-gateway-eu"),
        ("eu", "a", "eu-presence-gateway"),
        # YAML would read both as numbers.
        ("12", "34", "presence-gateway-12"),
        ("1x", "a", "presence-gateway-1x"),
        ("1-presence-gateway", "a", "presence-gateway-1-presence-gateway"),
        ("pgw.v2", "a", "pgw-v2-presence-gateway"),
        ("presence-gateway.v2", "a", "presence-gateway-v2"),
        (f"{'r' * 50}--x", "a", "r" * 50),
        (LONG, "n" * 63, LONG[:52]),
        (f"{'r' * 51}-x", "a", "r" * 51),
    ],
)
def test_names_follow_the_release_and_fit(name, namespace, wanted):
    resources = chart.render(chart.values_of("production+all"), name, namespace)
    assert the(resources, "Deployment")["metadata"]["name"] == wanted
    for resource in resources:
        metadata = resource["metadata"]
        assert metadata["namespace"] == namespace
        # What the name of a Service must be (RFC 1035); the others may be more.
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", metadata["name"]), metadata["name"]
        assert metadata["name"].startswith(wanted)
        assert metadata["labels"]["app.kubernetes.io/instance"] == name
        assert max(map(len, metadata["labels"].values())) <= 63
    by_name(resources)


def test_every_reference_leads_to_a_resource_of_the_release():
    resources = rendered(OTHER_RELEASE)
    names = {kind: {r["metadata"]["name"] for r in of_kind(resources, kind)} for kind in {r["kind"] for r in resources}}
    spec = pod(resources)["spec"]
    assert spec["serviceAccountName"] in names["ServiceAccount"]
    assert {source["configMapRef"]["name"] for source in container(resources)["envFrom"]} <= names["ConfigMap"]
    assert the(resources, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] in names["Deployment"]
    secrets = {certificate["spec"]["secretName"]: certificate for certificate in of_kind(resources, "Certificate")}
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "tls"]
    certified = set(secrets[volume["secret"]["secretName"]]["spec"]["dnsNames"])
    for service in names["Service"]:
        if not service.endswith("-metrics"):
            assert {f"{service}.elsewhere", f"{service}.elsewhere.svc.cluster.local"} <= certified


def test_two_releases_in_a_namespace_do_not_select_each_others_pods():
    one, two = (chart.render(chart.values_of("production+all"), name) for name in ("one", "two"))
    labels = pod(two)["metadata"]["labels"]
    for service in of_kind(one, "Service"):
        assert not service["spec"]["selector"].items() <= labels.items(), named(service)
    assert not {(r["kind"], r["metadata"]["name"]) for r in one} & {(r["kind"], r["metadata"]["name"]) for r in two}


def test_a_change_of_a_setting_rolls_the_pods():
    before, after = (
        pod(chart.render(chart.merged(chart.PRODUCTION, {"settings": {"PRESENCE_GATEWAY_MAX_BULK_IDS": count}})))["metadata"]
        for count in (10, 20)
    )
    assert before["annotations"] != after["annotations"]
    assert before["labels"] == after["labels"]


def test_the_chart_can_be_a_dependency(tmp_path):
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    shutil.copytree(chart.CHART, parent / "charts" / "presence-gateway")
    description = {"apiVersion": "v2", "name": "parent", "version": "1.0.0"}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    values = chart.values_of("production+all")
    inside = helm_python.Chart.load(parent).render(
        {"presence-gateway": values, "global": {"site": "eu"}}, name="presence-gateway", namespace="presence-gateway"
    )
    assert by_name(chart.resources_in(inside)) == by_name(chart.render(values))


def test_the_package_of_the_chart_renders_the_same(tmp_path):
    package = helm_python.package(chart.CHART, destination=tmp_path)
    values = chart.values_of("production+all")
    assert chart.files(values, chart=helm_python.Chart.load(package)) == chart.files(values)


def test_a_checkout_without_symbolic_links_is_reported(tmp_path):
    copied = tmp_path / "presence-gateway"
    shutil.copytree(chart.CHART, copied)
    # What git writes on a file system without them.
    (copied / "files" / "settings.env").write_text("../../base/settings.env", encoding="utf-8")
    with pytest.raises(helm_python.HelmError, match="files/settings.env must be a symbolic link"):
        helm_python.Chart.load(copied).render(chart.PRODUCTION)


def notes(values, name="presence-gateway"):
    return chart.files(values, name, "somewhere")["NOTES.txt"]


def test_the_notes_name_the_resources_and_the_namespace():
    text = chart.files(chart.values_of("production+all"), LONG, "elsewhere")["NOTES.txt"]
    names = set(re.findall(rf"{LONG[:20]}[-a-z0-9]*", text))
    made = {r["metadata"]["name"] for r in rendered(OTHER_RELEASE)} | {f"{LONG[:52]}-tls"}
    assert names and names <= made, names - made
    assert "presence-gateway-sandbox" not in text and ":50051" in text


def test_the_call_of_the_notes_succeeds_in_the_sandbox(gateway, tmp_path):
    values = chart.values_of("sandbox")
    (call,) = re.findall(r"^  (presence-gateway call .+)$", notes(values), re.MULTILINE)
    ports = dict(zip(("LISTEN", "HEALTH_LISTEN", "METRICS_LISTEN"), processes.free_ports(3), strict=True))
    given = settings(chart.render(values)) | {"PRESENCE_GATEWAY_LAME_DUCK": "0s"}
    given |= {f"PRESENCE_GATEWAY_{name}": f"127.0.0.1:{port}" for name, port in ports.items()}
    with processes.serving(gateway, given, ports["HEALTH_LISTEN"], tmp_path / "log"):
        # Through the port of this test instead of the forwarded one.
        command = call.replace("presence-gateway call", f"{gateway} call --address http://127.0.0.1:{ports['LISTEN']}", 1)
        done = subprocess.run(command, shell=True, env=processes.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "00000000-0000-4000-8000-000000000001" in done.stdout
