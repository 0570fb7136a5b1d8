"""Every value of the chart has an effect and is documented; wrong ones are rejected by name."""

import json
import re
import subprocess

import chart
import helm_python
import manifests
import processes
import pytest
import yaml
from manifests import container, pod, settings, the

PEER = [{"podSelector": {"matchLabels": {"a": "b"}}}]
RULE = {"to": PEER, "ports": [{"port": 1, "protocol": "TCP"}]}

# Another value for each one of values.yaml.
ANOTHER = {
    "region": "eu-central-1",
    "sandbox": True,
    "image.repository": "registry.example.org/other",
    "image.tag": "1.2.3",
    "image.digest": "sha256:" + "0" * 64,
    "image.pullSecrets": [{"name": "registry"}],
    "settings": {"PRESENCE_GATEWAY_MAX_BULK_IDS": 1000},
    "env": [{"name": "RUST_LOG", "value": "debug"}],
    "resourceAttributes": {"deployment.environment.name": "staging"},
    "replicas": 3,
    "autoscaling.enabled": False,
    "autoscaling.minReplicas": 3,
    "autoscaling.maxReplicas": 9,
    "autoscaling.cpuUtilization": 50,
    "autoscaling.callsInFlight": 300,
    "resources": {"limits": {"memory": "3Gi"}},
    "terminationGracePeriodSeconds": 100,
    "fullnameOverride": "gateway",
    "labels": {"team": "a"},
    "podLabels": {"team": "a"},
    "podAnnotations": {"a": "b"},
    "serviceAccount.annotations": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "topologySpread.topologyKeys": ["kubernetes.io/hostname"],
    "topologySpread.whenUnsatisfiable": "DoNotSchedule",
    "volumes": [{"name": "callers", "configMap": {"name": "callers-ca"}}],
    "volumeMounts": [{"name": "callers", "mountPath": "/etc/presence-gateway/callers"}],
    "networkPolicy.enabled": False,
    "networkPolicy.callers": PEER,
    "networkPolicy.prometheus": PEER,
    "networkPolicy.dns": RULE,
    "networkPolicy.collector": RULE,
    "networkPolicy.upstream": RULE,
    "networkPolicy.budgetStore": RULE,
    "sharedBudget.enabled": True,
    "sharedBudget.url": "rediss://budget.example.com:6379",
    "sharedBudget.secretName": "other-budget",
    "mtls.enabled": True,
    "mtls.secretName": "other-tls",
    "mtls.issuerRef.group": "issuers.example.com",
    "mtls.issuerRef.kind": "Issuer",
    "mtls.issuerRef.name": "other-ca",
    "mtls.clusterDomain": "cluster.example",
    "mtls.dnsNames": ["presence.example.com"],
    "gatewayApi.enabled": True,
    "gatewayApi.parentRefs": [{"name": "other"}],
    "gatewayApi.hostnames": ["other.example.com"],
    "monitoring.enabled": True,
    "monitoring.labels": {"release": "kube-prometheus-stack"},
    "monitoring.runbook": "https://wiki.example.org/presence-gateway/deploy/README.md",
    "monitoring.grafana": "https://example.org/grafana/",
    "monitoring.rules": False,
    "monitoring.dashboard": False,
    "monitoring.dashboardLabels": {"dashboards": "here"},
}

# Values that need others: each is changed in a release with them.
WITH = {
    "replicas": {"autoscaling": {"enabled": False}},
    "gatewayApi.enabled": {"gatewayApi": {"parentRefs": [{"name": "a"}], "hostnames": ["a.example.com"]}},
    "networkPolicy.budgetStore": chart.VALUES["shared-budget"],
    "sharedBudget.enabled": {"sharedBudget": {"url": "redis://budget.example.com"}},
    **{f"sharedBudget.{value}": chart.VALUES["shared-budget"] for value in ("url", "secretName")},
    **{path: chart.VALUES["mtls"] for path in ANOTHER if path.startswith("mtls.") and path != "mtls.enabled"},
    **{path: chart.VALUES["gateway-api"] for path in ANOTHER if path.startswith("gatewayApi.") and path != "gatewayApi.enabled"},
    **{path: chart.VALUES["monitoring"] for path in ANOTHER if path.startswith("monitoring.") and path != "monitoring.enabled"},
}


def changed(path):
    """The resources without and with another value."""
    before = chart.merged(chart.PRODUCTION, WITH.get(path, {}))
    # An upstream takes the place of another one.
    instead = {"region": ""} if path == "sandbox" else {}
    return chart.render(before), chart.render(chart.merged(before, instead, chart.at(path, ANOTHER[path])))


def test_another_value_is_tried_for_each_one():
    assert list(chart.defaults()) == list(ANOTHER)


@pytest.mark.parametrize("path", ANOTHER)
def test_a_value_has_an_effect_and_leaves_the_selector_as_it_is(path):
    before, after = changed(path)
    assert before != after, f"{path} has no effect"
    # The API server refuses another selector: an upgrade would fail.
    assert the(before, "Deployment")["spec"]["selector"] == the(after, "Deployment")["spec"]["selector"]


def test_maps_and_lists_of_values_reach_their_place():
    values = [chart.at(path, value) for path, value in ANOTHER.items() if path not in ("sandbox", "networkPolicy.enabled")]
    resources = chart.render(chart.merged(*values, {"monitoring": {"rules": True}}))
    spec, only = pod(resources)["spec"], container(resources)
    assert only["image"] == f"registry.example.org/other@{ANOTHER['image.digest']}"
    assert only["env"][-1] == ANOTHER["env"][0]
    assert only["env"][-2]["value"].endswith(",deployment.environment.name=staging")
    assert only["resources"] == {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "3Gi"}}
    assert only["volumeMounts"][-1] == ANOTHER["volumeMounts"][0]
    assert spec["volumes"][-1] == ANOTHER["volumes"][0]
    assert spec["imagePullSecrets"] == ANOTHER["image.pullSecrets"]
    for field in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "terminationGracePeriodSeconds"):
        assert spec[field] == ANOTHER[field]
    assert pod(resources)["metadata"]["labels"]["team"] == "a"
    assert pod(resources)["metadata"]["annotations"]["a"] == "b"
    assert the(resources, "ServiceAccount")["metadata"]["annotations"] == {"a": "b"}
    assert the(resources, "Deployment")["spec"]["replicas"] == 3
    with_policies = chart.render(chart.merged(chart.PRODUCTION, *values, {"networkPolicy": {"enabled": True}}))
    policy, budget = manifests.of_kind(with_policies, "NetworkPolicy")
    assert [rule["from"] for rule in policy["spec"]["ingress"]] == [PEER, PEER]
    assert policy["spec"]["egress"] == [RULE, RULE, RULE]
    assert budget["spec"]["egress"] == [RULE, RULE]
    for resource in resources:
        assert resource["metadata"]["labels"]["team"] == "a"
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert the(resources, kind)["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert settings(resources)["PRESENCE_GATEWAY_REGION"] == "eu-central-1"


def test_an_empty_list_of_peers_admits_none():
    peers = {"callers": [], "prometheus": [], "dns": {"to": []}, "collector": {"to": []}, "upstream": {"to": []}}
    spec = the(chart.render(chart.merged(chart.PRODUCTION, {"networkPolicy": peers})), "NetworkPolicy")["spec"]
    # Without a rule nothing is admitted; a rule without peers admits everybody.
    assert (spec["ingress"], spec["egress"]) == ([], [])
    assert spec["policyTypes"] == ["Ingress", "Egress"]


def test_settings_override_files_and_are_texts():
    given = {
        "PRESENCE_GATEWAY_MAX_IN_FLIGHT": 1000000,
        "PRESENCE_GATEWAY_SHARE_READS": False,
        "OTEL_TRACES_SAMPLER_ARG": 0.25,
        "PRESENCE_GATEWAY_LAME_DUCK": "1s",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "RUST_LOG": "presence_gateway=debug,h2=\"x: y\"",
    }  # fmt: skip
    found = settings(chart.render(chart.merged(chart.PRODUCTION, {"settings": given})))
    wanted = {
        "PRESENCE_GATEWAY_MAX_IN_FLIGHT": "1000000",
        "PRESENCE_GATEWAY_SHARE_READS": "false",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "PRESENCE_GATEWAY_LAME_DUCK": "1s",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "RUST_LOG": "presence_gateway=debug,h2=\"x: y\"",
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted


def test_an_upstream_url_takes_the_place_of_a_region():
    url = {"settings": {"PRESENCE_GATEWAY_UPSTREAM_URL": "https://vendor.example.com"}}
    given = settings(chart.render(chart.merged(chart.PRODUCTION, {"region": ""}, url)))
    assert given["PRESENCE_GATEWAY_UPSTREAM_URL"] == "https://vendor.example.com"
    assert "PRESENCE_GATEWAY_REGION" not in given


def test_a_list_of_regions_is_that_of_the_setting():
    given = chart.render(chart.merged(chart.PRODUCTION, {"region": ["us-east-1", "eu-central-1"]}))
    assert settings(given)["PRESENCE_GATEWAY_REGION"] == "us-east-1,eu-central-1"


def test_alerts_link_to_the_addresses_of_the_values():
    links = {"monitoring": {name: ANOTHER[f"monitoring.{name}"] for name in ("runbook", "grafana")}}
    rule = the(chart.render(chart.merged(chart.values_of("production+monitoring"), links)), "PrometheusRule")
    for made in [made for group in rule["spec"]["groups"] for made in group["rules"]]:
        found = made["annotations"]
        page = "https://wiki.example.org/presence-gateway/deploy/README.md"
        assert found["runbook_url"] == f"{page}#{made['alert'].lower()}"
        assert found["dashboard_url"].startswith("https://example.org/grafana/d/presence-gateway")


def test_a_tls_secret_without_an_issuer_is_only_mounted():
    resources = chart.render(chart.merged(chart.PRODUCTION, {"mtls": {"enabled": True, "secretName": "mine"}}))
    (volume,) = pod(resources)["spec"]["volumes"]
    assert volume["secret"]["secretName"] == "mine"
    assert not manifests.of_kind(resources, "Certificate")


def problem(values):
    with pytest.raises(helm_python.HelmError) as raised:
        chart.render(values)
    return str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ({"regions": ["us-east-1"]}, ["regions"]),
        ({"region": "us-east1"}, ["/region", "us-east-1", "eu-central-1"]),
        ({"region": ["us-east-1", "us-east1"]}, ["/region/1", "us-east-1", "eu-central-1"]),
        ({"region": ["us-east-1", "us-east-1"]}, ["/region", "items at 0 and 1 are equal"]),
        ({"region": []}, ["/region", "minItems"]),
        ({"sandbox": "yes"}, ["/sandbox", "got string, want boolean"]),
        ({"image": {"registry": "x"}}, ["/image", "registry"]),
        ({"image": {"tag": 1.0}}, ["/image/tag", "got number, want string"]),
        ({"image": {"digest": "sha256:123"}}, ["/image/digest"]),
        ({"settings": {"PRESENCE_GATEWAY_MAX_BULK_ID": 5}}, ["/settings", "PRESENCE_GATEWAY_MAX_BULK_ID"]),
        ({"settings": {"PRESENCE_GATEWAY_REGION": "eu-west-1"}}, ["/settings", "PRESENCE_GATEWAY_REGION"]),
        ({"settings": {"PRESENCE_GATEWAY_MAX_BULK_IDS": [5]}}, ["/settings/PRESENCE_GATEWAY_MAX_BULK_IDS", "got array"]),
        ({"settings": {"PRESENCE_GATEWAY_LISTEN": "0.0.0.0:8443"}}, ["/settings/PRESENCE_GATEWAY_LISTEN", ":50051$"]),
        ({"settings": {"PRESENCE_GATEWAY_MAX_IN_FLIGHT": "abc"}}, ["/settings/PRESENCE_GATEWAY_MAX_IN_FLIGHT", "^[0-9]*$"]),
        ({"settings": {"PRESENCE_GATEWAY_MAX_IN_FLIGHT": 1.5}}, ["/settings/PRESENCE_GATEWAY_MAX_IN_FLIGHT", "got number"]),
        ({"settings": {"PRESENCE_GATEWAY_LAME_DUCK": 5}}, ["/settings/PRESENCE_GATEWAY_LAME_DUCK", "got number, want string"]),
        ({"settings": {"PRESENCE_GATEWAY_SHARE_READS": "yes"}}, ["/settings/PRESENCE_GATEWAY_SHARE_READS", "true"]),
        ({"settings": {"RUST_LOG": "info\nPRESENCE_GATEWAY_REGION=x"}}, ["/settings/RUST_LOG"]),
        ({"settings": {"PRESENCE_GATEWAY_LISTEN": "a\n:50051"}}, ["/settings/PRESENCE_GATEWAY_LISTEN"]),
        ({"replicas": "two"}, ["/replicas", "got string, want integer"]),
        ({"autoscaling": {"minReplica": 2}}, ["/autoscaling", "minReplica"]),
        ({"resources": []}, ["/resources", "got array, want object"]),
        ({"fullnameOverride": "Gateway_1"}, ["/fullnameOverride"]),
        ({"podLabels": {"app.kubernetes.io/name": "x"}}, ["app.kubernetes.io/name"]),
        ({"networkPolicy": {"upstream": {"port": 443}}}, ["/networkPolicy/upstream", "port"]),
        ({"gatewayApi": {"enabled": True}}, ["/gatewayApi/hostnames", "/gatewayApi/parentRefs"]),
        ({"sharedBudget": {"enabled": True}}, ["/sharedBudget/url"]),
        ({"sharedBudget": {"url": "http://budget.example.com"}}, ["/sharedBudget/url", "redis"]),
        ({"sharedBudget": {"enabled": True, "url": "redis://user:word@budget"}}, ["sharedBudget.url", "Secret"]),
        ({"settings": {"PRESENCE_GATEWAY_BUDGET_STORE": "redis://budget"}}, ["sharedBudget.enabled"]),
        ({"topologySpread": {"whenUnsatisfiable": "Never"}}, ["/topologySpread/whenUnsatisfiable", "DoNotSchedule"]),
        ({"monitoring": {"labels": {"release": 1}}}, ["/monitoring/labels/release", "got number, want string"]),
        ({"region": ""}, ["exactly one upstream is required", "0", "region"]),
        ({"sandbox": True}, ["exactly one upstream is required", "2", "region"]),
        ({"image": {"repository": ""}}, ["image.repository is required", "deploy/README.md"]),
        ({"image": {"repository": "x/y:1"}}, ["image.repository", "x/y:1", "image.tag"]),
        ({"image": {"repository": "x/y@sha256:0"}}, ["image.repository", "image.digest"]),
        (
            {"settings": {"PRESENCE_GATEWAY_LAME_DUCK": "1m 500ms"}},
            ["terminationGracePeriodSeconds is 45", "PRESENCE_GATEWAY_LAME_DUCK (1m 500ms)", "at least 97"],
        ),
        ({"terminationGracePeriodSeconds": 40}, ["terminationGracePeriodSeconds is 40", "at least 41"]),
        ({"autoscaling": {"minReplicas": 7}}, ["autoscaling.minReplicas (7)", "autoscaling.maxReplicas (6)"]),
        ({"resources": {"requests": {"cpu": None}}}, ["autoscaling.cpuUtilization", "resources.requests.cpu"]),
        ({"resources": {"requests": None}}, ["autoscaling.cpuUtilization", "resources.requests.cpu"]),
        ({"resourceAttributes": {"team": "a, b"}}, ["resourceAttributes", "team", "%2C"]),
        ({"resourceAttributes": {"the team": "a"}}, ["resourceAttributes", "the team"]),
    ],
)
def test_a_wrong_value_is_rejected_by_its_name(wrong, wanted):
    message = problem(chart.merged(chart.PRODUCTION, wrong))
    for part in wanted:
        assert part in message, message


@pytest.mark.parametrize(
    "right",
    [
        {"image": {"repository": "localhost:5000/x/y"}},
        {"image": {"repository": "localhost:5000/y", "tag": "1"}},
        {"settings": {"PRESENCE_GATEWAY_LAME_DUCK": "1m 500ms"}, "terminationGracePeriodSeconds": 97},
        {"settings": {"PRESENCE_GATEWAY_LAME_DUCK": "", "PRESENCE_GATEWAY_DRAIN_TIMEOUT": ""}, "terminationGracePeriodSeconds": 41},
        {"settings": {"PRESENCE_GATEWAY_DRAIN_TIMEOUT": "0s"}, "terminationGracePeriodSeconds": 11},
        {"autoscaling": {"minReplicas": 6}},
        {"autoscaling": {"enabled": False, "minReplicas": 7}},
        {"autoscaling": {"enabled": False}, "resources": {"requests": {"cpu": None}}},
        # Kubernetes takes a limit for the request.
        {"resources": {"requests": {"cpu": None}, "limits": {"cpu": "1"}}},
        {"resourceAttributes": {"team": "a%2C%20b", "node": "$(NODE_NAME)"}},
    ],
)
def test_values_that_agree_are_accepted(right):
    chart.render(chart.merged(chart.PRODUCTION, right))


# Settings whose form the schema does not know: names of files, addresses, filters.
TEXTS = re.compile(
    r"PRESENCE_GATEWAY_(LISTEN|\w+_LISTEN|\w*(CA|CERT|KEY|FILE|SECRET)|SANDBOX_\w+)|RUST_LOG|SSL_CERT_\w+|RUST_BACKTRACE|NO_COLOR"
    r"|OTEL_\w+_(HEADERS|CERTIFICATE|KEY|ARG|PREFERENCE)|OTEL_(\w+_EXPORTER|TRACES_SAMPLER|PROPAGATORS|SERVICE_NAME|SDK_DISABLED)"
)


@pytest.mark.parametrize("name", [name for name in chart.schema()["properties"]["settings"]["properties"] if not TEXTS.fullmatch(name)])
def test_a_setting_of_the_wrong_type_is_rejected_by_the_program_and_by_the_schema(gateway, name):
    other = {} if name == "PRESENCE_GATEWAY_UPSTREAM_URL" else {"PRESENCE_GATEWAY_UPSTREAM_URL": "http://127.0.0.1:9"}
    given = {"PRESENCE_GATEWAY_LISTEN": "127.0.0.1:0", **other, name: "?"}
    done = subprocess.run(
        [gateway, "serve", "--check"], env=processes.environment() | given, capture_output=True, text=True, check=False
    )
    flag = name.removeprefix("PRESENCE_GATEWAY_").lower().replace("_", "-")
    assert done.returncode == 64 and re.search(f"{name}|--{flag}", done.stderr), f"the program accepts it: {done.stderr}"
    assert f"/settings/{name}" in problem(chart.merged(chart.PRODUCTION, {"settings": {name: "?"}}))


def test_tls_by_settings_is_known_to_the_services_and_to_the_notes():
    tls = {"settings": {"PRESENCE_GATEWAY_TLS_CERT": "/etc/tls/tls.crt", "PRESENCE_GATEWAY_TLS_KEY": "/etc/tls/tls.key"}}
    for values, protocol in (({}, "kubernetes.io/h2c"), (tls, "https"), (chart.VALUES["mtls"], "https")):
        values = chart.merged(chart.PRODUCTION, values)
        for service in manifests.of_kind(chart.render(values), "Service"):
            assert service["spec"]["ports"][0]["appProtocol"] == protocol
        assert ("They need" in chart.files(values)["NOTES.txt"]) == (protocol == "https")


def test_the_schema_has_every_value_and_no_other():
    def misspelt(described, path):
        if "properties" in described:
            yield path
            for key, inner in described["properties"].items():
                yield from misspelt(inner, (*path, key))

    described = chart.schema()
    assert list(described["properties"]) == [*dict.fromkeys(path.partition(".")[0] for path in ANOTHER), "global"]
    for path in misspelt(described, ()):
        found = described
        for key in path:
            found = found["properties"][key]
        assert found["additionalProperties"] is False, f"{path} accepts any key"


def test_the_schema_has_every_setting_of_the_program_and_no_other(known):
    allowed = set(chart.schema()["properties"]["settings"]["properties"])
    docs = manifests.DEPLOY.parent / "docs"
    telemetry = set()
    for cells in re.findall(r"^\| (`OTEL_[^|]+`) \|", (docs / "telemetry.md").read_text(encoding="utf-8"), re.MULTILINE):
        for name in re.findall(r"`(OTEL_[A-Z_]+)`", cells):
            telemetry.add(name)
            general = re.fullmatch(r"OTEL_EXPORTER_OTLP_(?!TRACES_|METRICS_)(\w+)", name)
            if general:
                telemetry |= {f"OTEL_EXPORTER_OTLP_{signal}_{general[1]}" for signal in ("TRACES", "METRICS")}
    table = (docs / "configuration.md").read_text(encoding="utf-8").partition("### Other variables")[2].partition("\n## ")[0]
    other = {name for cell in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE) for name in re.findall(r"`([A-Z_]+)`", cell)}
    sandbox = set(re.findall(r"^\|[^|]*\|[^|]*\| `(PRESENCE_GATEWAY_SANDBOX_\w+)` \|", (docs / "sandbox.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert telemetry and other and sandbox
    # These have values of their own; with the last one, no replica would serve.
    own = {"PRESENCE_GATEWAY_REGION", "PRESENCE_GATEWAY_SANDBOX", "OTEL_RESOURCE_ATTRIBUTES", "PRESENCE_GATEWAY_CHECK"}
    wanted = (known | telemetry | other | sandbox) - own
    assert allowed == wanted, f"deploy/chart/values.schema.json lacks {wanted - allowed}, and has {allowed - wanted}"


def test_the_schema_has_every_region():
    page = (manifests.DEPLOY.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    regions = re.findall(r"^\| `([a-z0-9-]+)` \| `api\.", page, re.MULTILINE)
    assert regions and chart.schema()["$defs"]["region"]["enum"] == regions


def shown(value):
    """A default as the table of deploy/README.md has it."""
    if isinstance(value, str):
        return f"`{value}`" if value else ""
    if isinstance(value, bool | int) or not value:
        return f"`{json.dumps(value)}`" if value not in ([], {}) else ""
    return "see values.yaml"


def test_the_readme_has_each_value_and_its_default():
    readme = (manifests.DEPLOY / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## Helm\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-zA-Z.]+)` \| ?([^|]*?) \|", section, re.MULTILINE))
    assert rows == {path: shown(default) for path, default in chart.defaults().items()}


def test_the_example_of_values_renders_to_the_example_of_an_overlay():
    readme = (manifests.DEPLOY / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(# values.yaml\n.+?)^```", readme, re.DOTALL | re.MULTILINE)
    values = yaml.safe_load(block)
    values["image"]["digest"] = ANOTHER["image.digest"]
    resources = chart.render(values)
    assert settings(resources)["PRESENCE_GATEWAY_REGION"] == "eu-central-1"
    assert container(resources)["image"] == f"YOUR-REGISTRY/presence-gateway@{ANOTHER['image.digest']}"
    assert the(resources, "ServiceMonitor")["metadata"]["labels"]["release"] == "kube-prometheus-stack"
