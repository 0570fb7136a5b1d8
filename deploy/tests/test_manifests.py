"""Properties that no schema checks: the resources fit together and serve their purpose."""

import re

import manifests
import pytest
from manifests import container, named, of_kind, pod, settings, the

FLUSH = 3  # seconds for the last export of telemetry
GOAWAY = 1  # seconds for connections to close after the last call


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", duration).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def matches(selector, labels):
    wanted = selector.get("matchLabels", selector)
    return wanted and all(labels.get(name) == value for name, value in wanted.items())


def test_all_resources_are_in_one_namespace_that_the_manifests_create(resources):
    namespace = the(resources, "Namespace")["metadata"]["name"]
    for resource in resources:
        if resource["kind"] not in manifests.CLUSTER_WIDE:
            assert resource["metadata"].get("namespace") == namespace, named(resource)


def test_every_pod_selector_matches_the_pods(resources):
    labels = pod(resources)["metadata"]["labels"]
    deployment = the(resources, "Deployment")
    selectors = {named(deployment): deployment["spec"]["selector"]}
    for kind, field in (("Service", "selector"), ("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        for resource in of_kind(resources, kind):
            selectors[named(resource)] = resource["spec"][field]
    for spread in pod(resources)["spec"]["topologySpreadConstraints"]:
        selectors[f"spread over {spread['topologyKey']}"] = spread["labelSelector"]
    for name, selector in selectors.items():
        assert matches(selector, labels), f"{name} selects {selector}, but pods have {labels}"


def test_a_service_monitor_selects_one_service_and_port(resources):
    for monitor in of_kind(resources, "ServiceMonitor"):
        services = [s for s in of_kind(resources, "Service") if matches(monitor["spec"]["selector"], s["metadata"]["labels"])]
        assert [s["metadata"]["name"] for s in services] == ["presence-gateway-metrics"], "each replica must be scraped once"
        ports = {port["name"] for port in services[0]["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


def test_a_deployment_with_an_autoscaler_sets_no_replicas(resources):
    deployment = the(resources, "Deployment")
    scalers = of_kind(resources, "HorizontalPodAutoscaler")
    assert ("replicas" in deployment["spec"]) == (not scalers)
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
        assert scaler["spec"]["minReplicas"] >= 2


def test_named_ports_are_ports_of_the_container(resources):
    ports = {port["name"]: port["containerPort"] for port in container(resources)["ports"]}
    for service in of_kind(resources, "Service"):
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports, f"{named(service)}: {port}"
    for rule in the(resources, "NetworkPolicy")["spec"]["ingress"]:
        for port in rule["ports"]:
            assert port["port"] in ports, port
    for probe in ("readinessProbe", "livenessProbe"):
        assert container(resources)[probe]["grpc"]["port"] == ports["health"]
    listening = {name: int(settings(resources)[variable].rsplit(":", 1)[1]) for name, variable in {
        "grpc": "PRESENCE_GATEWAY_LISTEN",
        "health": "PRESENCE_GATEWAY_HEALTH_LISTEN",
        "metrics": "PRESENCE_GATEWAY_METRICS_LISTEN",
    }.items()}
    assert ports == listening, "the container's ports differ from those in the settings"


def test_every_port_sets_its_protocol(resources):
    # Servers before 1.21 reject a server-side apply of a port without it:
    # https://github.com/kubernetes-sigs/structured-merge-diff/issues/130
    ports = {}
    for policy in of_kind(resources, "NetworkPolicy"):
        rules = policy["spec"].get("ingress", []) + policy["spec"]["egress"]
        ports[f"a rule of {named(policy)}"] = [p for rule in rules for p in rule["ports"]]
    ports |= {named(service): service["spec"]["ports"] for service in of_kind(resources, "Service")}
    ports["the container"] = container(resources)["ports"]
    for name, listed in ports.items():
        for port in listed:
            spoken = {"TCP", "UDP"} if port.get("port") == 53 else {"TCP"}
            assert port.get("protocol") in spoken, f"{name}: {port}"


def test_a_route_leads_to_a_port_of_a_service(resources):
    services = {s["metadata"]["name"]: {port["port"] for port in s["spec"]["ports"]} for s in of_kind(resources, "Service")}
    for route in of_kind(resources, "GRPCRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                assert backend["port"] in services[backend["name"]], backend


def test_both_services_set_their_app_protocol(resources):
    for name, headless in (("presence-gateway", False), ("presence-gateway-headless", True)):
        (service,) = [s for s in of_kind(resources, "Service") if s["metadata"]["name"] == name]
        assert (service["spec"].get("clusterIP") == "None") == headless
        spoken = "https" if "PRESENCE_GATEWAY_TLS_CERT" in settings(resources) else "kubernetes.io/h2c"
        assert [port["appProtocol"] for port in service["spec"]["ports"]] == [spoken]


def test_each_probe_checks_the_service_of_its_name(resources):
    assert container(resources)["readinessProbe"]["grpc"]["service"] == "readiness"
    assert container(resources)["livenessProbe"]["grpc"]["service"] == "liveness"


def test_the_pod_meets_the_restricted_security_standard(resources):
    enforced = the(resources, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"
    spec = pod(resources)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert all(set(volume) - {"name"} <= {"secret", "configMap", "emptyDir"} for volume in spec.get("volumes", []))
    inside = container(resources)["securityContext"]
    assert inside["allowPrivilegeEscalation"] is False
    assert inside["capabilities"] == {"drop": ["ALL"]}
    assert inside["readOnlyRootFilesystem"] is True
    assert all("hostPort" not in port for port in container(resources)["ports"])


def test_the_pod_has_no_access_to_the_cluster_api(resources):
    spec = pod(resources)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert the(resources, "ServiceAccount")["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == the(resources, "ServiceAccount")["metadata"]["name"]


def test_the_grace_period_covers_the_drain(resources):
    given = settings(resources)
    needed = seconds(given["PRESENCE_GATEWAY_LAME_DUCK"]) + seconds(given["PRESENCE_GATEWAY_DRAIN_TIMEOUT"]) + GOAWAY + FLUSH
    grace = pod(resources)["spec"]["terminationGracePeriodSeconds"]
    assert needed < grace <= needed + 15, f"{needed} s are needed, {grace} s are given"


def test_a_rollout_never_reduces_the_pods(resources):
    strategy = the(resources, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy["maxUnavailable"] == 0
    assert strategy["maxSurge"] >= 1


def test_a_change_of_a_setting_rolls_the_pods(resources):
    used = [source["configMapRef"] for source in container(resources)["envFrom"]]
    made = {r["metadata"]["name"] for r in of_kind(resources, "ConfigMap") if "settings" in r["metadata"]["name"]}
    # None may be optional: without its settings, the gateway would serve without TLS.
    assert used == [{"name": name} for name in sorted(made)]
    for name in made:
        assert re.fullmatch(r"presence-gateway-(component-)?settings-[a-z0-9]{10}", name)


def test_requests_and_the_limit_of_memory_are_set(resources):
    given = container(resources)["resources"]
    assert given["requests"].keys() == {"cpu", "memory"}
    assert "memory" in given["limits"]


def test_the_default_replicas_stay_within_the_vendors_rate_limit(resources):
    alone = of_kind(resources, "HorizontalPodAutoscaler") and "PRESENCE_GATEWAY_BUDGET_STORE" not in settings(resources)
    # Replicas that share the budget have the whole limit together.
    replicas = the(resources, "HorizontalPodAutoscaler")["spec"]["minReplicas"] if alone else 1
    each = int(settings(resources)["PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE"])
    assert replicas * each == 300, f"{replicas} replicas with {each} requests a minute each"


def test_only_the_sandbox_overlay_serves_the_sandbox(resources):
    given = settings(resources)
    upstreams = {"PRESENCE_GATEWAY_SANDBOX", "PRESENCE_GATEWAY_REGION", "PRESENCE_GATEWAY_UPSTREAM_URL"} & given.keys()
    is_sandbox = the(resources, "Namespace")["metadata"]["name"].endswith("-sandbox")
    assert upstreams == ({"PRESENCE_GATEWAY_SANDBOX"} if is_sandbox else {"PRESENCE_GATEWAY_REGION"})


def test_the_sandbox_is_one_replica_without_egress():
    resources = manifests.render("sandbox")
    assert the(resources, "Deployment")["spec"]["replicas"] == 1
    assert the(resources, "NetworkPolicy")["spec"]["egress"] == []


def test_the_gateway_has_egress_only_to_dns_collector_and_vendor():
    rules = the(manifests.render("production"), "NetworkPolicy")["spec"]["egress"]
    assert [sorted({port["port"] for port in rule["ports"]}) for rule in rules] == [[53], [4317, 4318], [443]]
    public = rules[2]["to"][0]["ipBlock"]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(public["except"]), "egress must exclude the cluster and the cloud's metadata"


def test_the_budget_store_adds_egress_to_it_and_to_dns_alone():
    for composition in ("sandbox+shared-budget", "production+shared-budget"):
        resources = manifests.render(composition)
        (added,) = [p for p in of_kind(resources, "NetworkPolicy") if p is not the(resources, "NetworkPolicy")]
        assert added["spec"]["policyTypes"] == ["Egress"]
        assert [sorted({port["port"] for port in rule["ports"]}) for rule in added["spec"]["egress"]] == [[6379], [53]]
        assert the(resources, "NetworkPolicy") == the(manifests.render(composition.partition("+")[0]), "NetworkPolicy")


@pytest.mark.parametrize("composition", ["sandbox+shared-budget", "production+shared-budget"])
def test_the_files_of_the_budget_store_are_keys_of_one_secret(composition):
    resources = manifests.render(composition)
    (volume,) = pod(resources)["spec"]["volumes"]
    (mount,) = container(resources)["volumeMounts"]
    assert mount["name"] == volume["name"] and mount["readOnly"] and volume["secret"]["defaultMode"] == 0o440
    given = settings(resources)
    assert given["PRESENCE_GATEWAY_BUDGET_STORE_PASSWORD_FILE"] == f"{mount['mountPath']}/password"
    assert given["PRESENCE_GATEWAY_BUDGET_SECRET"] == f"{mount['mountPath']}/secret"


def test_a_certificate_is_mounted_at_the_path_of_the_settings():
    resources = manifests.render("production+mtls")
    (volume,) = pod(resources)["spec"]["volumes"]
    (mount,) = container(resources)["volumeMounts"]
    assert mount["name"] == volume["name"] and mount["readOnly"] and "subPath" not in mount
    files = [value for name, value in settings(resources).items() if name.startswith("PRESENCE_GATEWAY_TLS_")]
    assert sorted(files) == [f"{mount['mountPath']}/{name}" for name in ("ca.crt", "tls.crt", "tls.key")]
    certificates = {c["spec"]["secretName"]: c for c in of_kind(resources, "Certificate")}
    names = set(certificates[volume["secret"]["secretName"]]["spec"]["dnsNames"])
    for service in of_kind(resources, "Service"):
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        assert f"{name}.{namespace}.svc.cluster.local" in names and f"{name}.{namespace}.svc" in names
