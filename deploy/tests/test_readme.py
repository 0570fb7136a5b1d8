"""deploy/README.md documents everything in this directory, and nothing else."""

import re
import subprocess
import urllib.parse

import manifests
import processes
import pytest
import test_budget_store
import test_schemas
import yaml
from manifests import of_kind

README = manifests.DEPLOY / "README.md"


def text():
    return README.read_text(encoding="utf-8")


def test_every_overlay_and_component_is_documented():
    for kind in ("overlays", "components"):
        for found in sorted((manifests.DEPLOY / kind).iterdir()):
            assert f"| [`{kind}/{found.name}`]({kind}/{found.name}) |" in text()


def test_every_named_file_exists():
    for name in re.findall(r"`((?:base|overlays|components)[/\w.-]*)`", text()):
        assert (manifests.DEPLOY / name).exists(), name
    for link in re.findall(r"\]\((?!https:)([^)#]+)(?:#[^)]*)?\)", text()):
        assert (README.parent / link).exists(), link


def test_the_readme_covers_the_operators_questions():
    sections = re.findall(r"^## (.+)$", text(), re.MULTILINE)
    assert sections == [
        "Install", "Helm", "Routes and meshes", "Upgrade", "Roll back", "Scale", "Rotate certificates", "Read the dashboard", "Runbook", "Versions", "Check",
    ]  # fmt: skip


def shown(starts_with):
    """The only YAML block with this start."""
    (block,) = re.findall(rf"^```yaml\n({re.escape(starts_with)}.+?)^```", text(), re.DOTALL | re.MULTILINE)
    return yaml.safe_load(block)


def test_the_named_versions_are_the_tested_ones():
    oldest, newest = manifests.KUBERNETES
    assert f"For Kubernetes {oldest} or later" in text()
    assert f"against Kubernetes {oldest} and {newest}" in text()
    (named,) = re.findall(r"builds them with kubectl ([\d.]+) and ([\d.]+) ", text())
    assert f"kubectl {named[0].rpartition('.')[0]} or later" in text()
    assert manifests.version_of("newest") == named[1]
    if "oldest" in manifests.KUBECTLS:
        assert manifests.version_of("oldest") == named[0]


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_client_cas_sets_the_trusted_ones(kubectl):
    kustomization = manifests.overlay("production+mtls") | shown("configMapGenerator:\n")
    resources = manifests.kustomize(kustomization, kubectl)
    file = manifests.settings(resources)["PRESENCE_GATEWAY_TLS_CLIENT_CA"]
    mounts = {mount["mountPath"]: mount["name"] for mount in manifests.container(resources)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in manifests.pod(resources)["spec"]["volumes"]}
    assert volumes[mounts[file.removesuffix("/ca.crt")]]["configMap"] == {"name": "callers-ca"}
    assert volumes[mounts["/etc/presence-gateway/tls"]]["secret"], "the gateway's own certificate is not mounted"


def test_the_example_of_a_virtual_service_disables_retries_and_routes_to_the_service():
    service = shown("apiVersion: networking.istio.io/v1\n")
    assert test_schemas.check_foreign([service]) == []
    (rule,) = service["spec"]["http"]
    assert rule["retries"] == {"attempts": 0} and "timeout" not in rule
    (destination,) = [route["destination"] for route in rule["route"]]
    assert service["spec"]["hosts"] == [destination["host"]]
    hosts = {
        f"{s['metadata']['name']}.{s['metadata']['namespace']}.svc.cluster.local": [port["port"] for port in s["spec"]["ports"]]
        for s in of_kind(manifests.render("production"), "Service")
    }
    assert destination["port"]["number"] in hosts[destination["host"]]


def test_the_example_policy_targets_the_route():
    policy = shown("apiVersion: gateway.envoyproxy.io/v1alpha1\n")
    (target,) = policy["spec"]["targetRefs"]
    route = manifests.the(manifests.render("production+gateway-api"), "GRPCRoute")
    assert route["apiVersion"].startswith(f"{target['group']}/")
    assert (route["kind"], route["metadata"]["name"]) == (target["kind"], target["name"])
    assert policy["metadata"]["namespace"] == route["metadata"]["namespace"]


def test_the_example_overlay_builds_as_described():
    kustomization = shown("# kustomization.yaml\n")
    kustomization["images"][0]["newName"] = "registry.example.org/presence-gateway"
    kustomization["images"][0]["digest"] = "sha256:" + "0" * 64
    resources = manifests.kustomize(kustomization)
    assert manifests.settings(resources)["PRESENCE_GATEWAY_REGION"] == "eu-central-1"
    assert manifests.container(resources)["image"] == f"registry.example.org/presence-gateway@sha256:{'0' * 64}"
    assert {r["metadata"].get("namespace", "presence-gateway") for r in resources} == {"presence-gateway"}
    assert manifests.of_kind(resources, "ServiceMonitor")


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_two_regions_serves_both_and_differs_in_nothing_else(kubectl, gateway):
    kustomization = shown("# kustomization.yaml, for two regions\n")
    kustomization["images"] = manifests.overlay("production").get("images", [])
    resources = manifests.kustomize(kustomization, kubectl)
    given, alone = manifests.settings(resources), manifests.settings(manifests.render("production+monitoring", kubectl))
    assert given == alone | {"PRESENCE_GATEWAY_REGION": "us-east-1,eu-central-1"}
    environment = processes.environment() | {"PRESENCE_GATEWAY_REGION": given["PRESENCE_GATEWAY_REGION"]}
    check = subprocess.run(
        [gateway, "serve", "--check"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    (egress,) = [
        rule for rule in manifests.the(resources, "NetworkPolicy")["spec"]["egress"] if rule["ports"][0]["port"] == 443
    ]
    assert {peer["ipBlock"]["cidr"] for peer in egress["to"]} == {"0.0.0.0/0", "::/0"}
    for host in ("api.mypurecloud.com", "api.mypurecloud.de"):
        assert f"upstream      https://{host} (" in check
        assert f"`{host}`" in text(), "the README names the hosts for policies by name"


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_a_second_region_is_all_in_its_namespace_and_scraped_under_the_first_ones_rules(kubectl):
    kustomization = shown("# us/kustomization.yaml\n")
    kustomization["images"][0]["newName"] = "registry.example.org/presence-gateway"
    kustomization["images"][0]["digest"] = "sha256:" + "0" * 64
    resources = manifests.kustomize(kustomization, kubectl)
    assert manifests.settings(resources)["PRESENCE_GATEWAY_REGION"] == "us-east-1"
    namespaces = {r["metadata"].get("namespace") or r["metadata"]["name"] for r in resources}
    assert namespaces == {"presence-gateway-us"}
    assert of_kind(resources, "ServiceMonitor") and not of_kind(resources, "PrometheusRule")
    assert not [found for found in of_kind(resources, "ConfigMap") if "dashboard" in found["metadata"]["name"]]


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_the_second_regions_names_has_all_services_and_another_host(kubectl):
    example = shown("# Names of the second region.\n") | {"namespace": "presence-gateway-us"}
    resources = manifests.kustomize(manifests.overlay("production+all") | example, kubectl)
    first = manifests.the(manifests.render("production+gateway-api"), "GRPCRoute")["spec"]["hostnames"]
    assert not set(first) & set(manifests.the(resources, "GRPCRoute")["spec"]["hostnames"])
    names = {c["metadata"]["name"]: c["spec"].get("dnsNames", []) for c in of_kind(resources, "Certificate")}
    for service in ("presence-gateway", "presence-gateway-headless"):
        full = f"{service}.presence-gateway-us.svc.cluster.local"
        assert {full, full.removesuffix(".cluster.local"), full.removesuffix(".svc.cluster.local")} <= set(names["presence-gateway"])
    assert not [name for name in names["presence-gateway"] if ".presence-gateway." in name], "names of the first region"


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_a_proxy_sets_it_and_allows_no_other_way(kubectl):
    resources = manifests.kustomize(manifests.overlay("production") | shown("patches:\n  # The URL"), kubectl)
    (variable,) = [
        e for e in manifests.container(resources)["env"] if e["name"] == "PRESENCE_GATEWAY_UPSTREAM_PROXY"
    ]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "presence-gateway-secrets", "key": "upstream-proxy"}
    ports = [
        {port["port"] for port in rule["ports"]}
        for rule in manifests.the(resources, "NetworkPolicy")["spec"]["egress"]
    ]
    assert ports == [{53}, {4317, 4318}, {3128}]


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_a_budget_store_sets_it_and_allows_the_way_to_it(kubectl):
    resources = manifests.kustomize(manifests.overlay("production") | shown("# The budget store.\n"), kubectl)
    given = manifests.settings(resources)
    store = urllib.parse.urlsplit(given["PRESENCE_GATEWAY_BUDGET_STORE"])
    assert store.password is None and given["PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE"] == "300"
    (policy,) = [p for p in of_kind(resources, "NetworkPolicy") if p["metadata"]["name"] == "presence-gateway-budget"]
    assert policy["spec"]["egress"][0]["ports"] == [{"port": store.port, "protocol": "TCP"}]
    assert policy["spec"]["egress"][0]["to"] != policy["spec"]["egress"][1]["to"]


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_the_sandbox_with_a_store_is_that_of_the_tests(kubectl):
    example = shown("# The sandbox with a budget store.\n")
    assert manifests.kustomize(example, kubectl) == manifests.kustomize(test_budget_store.kustomization("sandbox"), kubectl)


@pytest.mark.parametrize("kubectl", manifests.KUBECTLS)
def test_the_example_of_the_addresses_in_alerts_sets_them_in_each(kubectl):
    example = shown("# The addresses in alerts.\n")
    resources = manifests.kustomize(manifests.overlay("production+monitoring") | example, kubectl)
    rule = manifests.the(resources, "PrometheusRule")
    for made in [made for group in rule["spec"]["groups"] for made in group["rules"]]:
        page = "https://wiki.example.org/presence-gateway/deploy/README.md"
        assert made["annotations"]["runbook_url"] == f"{page}#{made['alert'].lower()}"
        dashboard = "https://example.org/grafana/d/presence-gateway{{ with $labels.namespace }}?var-namespace={{ . }}{{ end }}"
        assert made["annotations"]["dashboard_url"] == dashboard


def test_the_example_of_a_deployment_for_a_team_admits_only_its_callers():
    example = shown("# Only callers from the namespace team-a.\n")
    resources = manifests.kustomize(manifests.overlay("production") | example)
    callers, prometheus = manifests.the(resources, "NetworkPolicy")["spec"]["ingress"]
    assert callers["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team-a"}}}]
    assert callers["ports"][0]["port"] == "grpc" and prometheus["ports"][0]["port"] == "metrics"
