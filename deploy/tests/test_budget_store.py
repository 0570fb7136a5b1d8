"""components/shared-budget-store runs a server that a gateway with components/shared-budget uses, and nobody else."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

import budget_store
import manifests
import processes
import pytest
import test_checkov
import test_schemas
import yaml
from manifests import of_kind, settings

OVERLAYS = ("sandbox", "production")
NAME = "presence-gateway-budget-store"
MOUNT = "/etc/presence-gateway/budget"


def kustomization(overlay):
    """An operator's overlay with both components."""
    components = [f"PATH/deploy/components/{name}" for name in ("shared-budget", manifests.STORE)]
    return manifests.overlay(overlay) | {"components": components}


@pytest.fixture(scope="module", params=[(overlay, kubectl) for overlay in OVERLAYS for kubectl in manifests.KUBECTLS])
def resources(request):
    overlay, kubectl = request.param
    return manifests.kustomize(kustomization(overlay), kubectl)


def own(resources):
    """The resources of the store, by their kind."""
    return {r["kind"]: r for r in resources if r["metadata"]["name"] == NAME}


def pod(resources):
    return own(resources)["Deployment"]["spec"]["template"]


def container(resources):
    (only,) = pod(resources)["spec"]["containers"]
    return only


def test_the_gateway_is_as_without_the_store(resources):
    names = {(r["kind"], r["metadata"]["name"]) for r in own(resources).values()}
    assert {kind for kind, _ in names} == {"Deployment", "Service", "NetworkPolicy"}
    overlay = "sandbox" if resources[0]["metadata"]["name"].endswith("-sandbox") else "production"
    assert [r for r in resources if (r["kind"], r["metadata"]["name"]) not in names] == manifests.render(f"{overlay}+shared-budget")


def test_selectors_and_policies_connect_the_gateway_to_the_store_alone(resources):
    found, (gateway,) = own(resources), [d for d in of_kind(resources, "Deployment") if d["metadata"]["name"] != NAME]
    labels, others = pod(resources)["metadata"]["labels"], gateway["spec"]["template"]["metadata"]["labels"]
    assert not labels.items() <= others.items() and not others.items() <= labels.items()
    policy = found["NetworkPolicy"]["spec"]
    for selector in (found["Deployment"]["spec"]["selector"]["matchLabels"], found["Service"]["spec"]["selector"], policy["podSelector"]["matchLabels"]):
        assert selector == labels
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["egress"] == []
    (rule,) = policy["ingress"]
    (peer,) = rule["from"]
    assert peer == {"podSelector": {"matchLabels": others}}
    (egress,) = [p for p in of_kind(resources, "NetworkPolicy") if p["metadata"]["name"] == "presence-gateway-budget"]
    assert egress["spec"]["egress"][0]["to"] == [{"podSelector": {"matchLabels": labels}}]
    (port,) = found["Service"]["spec"]["ports"]
    (listening,) = container(resources)["ports"]
    assert port["targetPort"] == listening["name"] == rule["ports"][0]["port"]
    assert settings_of_gateway(resources)["PRESENCE_GATEWAY_BUDGET_STORE"] == f"redis://{NAME}:{port['port']}"


def settings_of_gateway(resources):
    return settings([r for r in resources if r not in own(resources).values()])


def test_there_is_never_a_second_store(resources):
    spec = own(resources)["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


@pytest.mark.parametrize("version", manifests.KUBERNETES)
def test_the_resources_are_valid(resources, version):
    for resource in own(resources).values():
        problem = test_schemas.problem_with(json.dumps(resource), version)
        assert problem is None, f"{manifests.named(resource)} in {version}: {problem}"


def test_every_finding_of_checkov_has_a_reason(resources, tmp_path):
    (tmp_path / "store.yaml").write_text(yaml.safe_dump_all(own(resources).values()), encoding="utf-8")
    found = test_checkov.failed([tmp_path / "store.yaml"], "kubernetes")
    assert not {finding for finding in found if finding[0] not in test_checkov.reasons()}


def test_the_pod_meets_the_restricted_security_standard_and_keeps_nothing(resources):
    spec, inside = pod(resources)["spec"], container(resources)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inside["allowPrivilegeEscalation"] is False and inside["capabilities"] == {"drop": ["ALL"]}
    assert inside["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    (volume,) = spec["volumes"]
    assert [item["key"] for item in volume["secret"]["items"]] == ["password"]
    assert container(resources)["volumeMounts"] == [{"name": volume["name"], "mountPath": MOUNT, "readOnly": True}]


def test_the_image_is_named_by_a_version(resources):
    assert re.fullmatch(r"docker\.io/valkey/valkey:\d+\.\d+\.\d+", container(resources)["image"])


def test_the_memory_limit_leaves_room_above_maxmemory(resources):
    (used,) = re.findall(r"^maxmemory (\d+)mb$", container(resources)["command"][-1], re.MULTILINE)
    limit = container(resources)["resources"]["limits"]["memory"]
    assert int(used) * 1.5 <= int(limit.removesuffix("Mi"))


# With Debian's Redis in Valkey's place: both read the same configuration.


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A directory with Redis' programs by Valkey's names."""
    directory = tmp_path_factory.mktemp("bin")
    for name in ("server", "cli"):
        (directory / f"valkey-{name}").symlink_to(shutil.which(f"redis-{name}"))
    return directory


@pytest.fixture
def store(programs, tmp_path):
    """The store of the component, on a free port, and what its commands need here."""
    resources = manifests.kustomize(kustomization("sandbox"))
    (tmp_path / "password").write_text("a-password\n", encoding="utf-8")
    (tmp_path / "secret").write_text("0123456789abcdef\n", encoding="utf-8")
    (port,) = processes.free_ports(1)

    def placed(command):
        words = [word.replace(MOUNT, str(tmp_path)).replace("port 6379", f"port {port}") for word in command]
        return [word.replace("valkey-cli", f"valkey-cli -p {port}") for word in words]

    def cli(*words, user=()):
        command = [programs / "valkey-cli", "-p", str(port), *user, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=processes.WITHIN).stdout.strip()

    given = container(resources)
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with processes.running(placed(given["command"]), tmp_path / "store.log", path) as process:
        budget_store.await_port(port, process)
        probe = placed(given["livenessProbe"]["exec"]["command"])
        yield port, cli, lambda: subprocess.run(probe, env=os.environ | path, capture_output=True, text=True, check=False)


def test_the_liveness_probe_succeeds(store):
    _, _, probe = store
    done = probe()
    assert (done.returncode, done.stdout.strip()) == (0, "PONG"), done.stderr


def test_nobody_without_the_password_and_no_key_of_others(store):
    _, cli, _ = store
    assert cli("get", "presence-gateway:x").startswith("NOAUTH")
    user = ("-a", "a-password", "--no-auth-warning")
    assert cli("get", "presence-gateway:x", user=user) == ""
    assert cli("get", "other", user=user).startswith("NOPERM")
    assert cli("flushall", user=user).startswith("NOPERM")
    assert cli("config", "get", "*", user=user).startswith("NOPERM")


def test_the_gateway_counts_in_it(store, gateway, tmp_path):
    port, _, _ = store
    given = settings_of_gateway(manifests.kustomize(kustomization("sandbox")))
    ports = dict(zip(("LISTEN", "HEALTH_LISTEN", "METRICS_LISTEN"), processes.free_ports(3), strict=True))
    given = {name: value.replace(MOUNT, str(tmp_path)).replace(f"{NAME}:6379", f"127.0.0.1:{port}") for name, value in given.items()}
    given |= {f"PRESENCE_GATEWAY_{name}": f"127.0.0.1:{free}" for name, free in ports.items()}
    given["PRESENCE_GATEWAY_LAME_DUCK"] = "0s"
    with processes.serving(gateway, given, ports["HEALTH_LISTEN"], tmp_path / "log"):
        call = [gateway, "call", "GetSystempresences", "--token", "any", "--address", f"http://127.0.0.1:{ports['LISTEN']}"]
        deadline = time.monotonic() + processes.WITHIN
        while not (counted := decisions(ports["METRICS_LISTEN"])["store"]):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text(encoding="utf-8")
            subprocess.run(call, env=processes.environment(), check=True, capture_output=True)
    assert counted


def decisions(port):
    """The checks of the gateway by their source."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=processes.WITHIN) as page:
        found = re.findall(r'^presence_gateway_budget_decisions_total\{.*?source="(\w+)".*?\} (\d+)', page.read().decode(), re.MULTILINE)
    return {source: int(count) for source, count in found}
