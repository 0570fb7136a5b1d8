"""Each list of services in the manifests has every public service of the program."""

import json
import re

import manifests
import processes
import pytest
from manifests import named, the

# Services without authentication, which stay inside the cluster. An outside client that
# watches health gets UNIMPLEMENTED from the Gateway, and then calls without health checks.
INTERNAL = ("grpc.health.", "grpc.reflection.")

# The name of a service in any place: a match, a path, an expression.
SERVICE = re.compile(r"\b(?:[a-z]\w*\.)+v\d\w*\.[A-Z]\w*")


@pytest.fixture(scope="module")
def public(gateway, tmp_path_factory):
    """The public services, from the descriptors of reflection."""
    grpc, health = processes.free_ports(2)
    given = {
        "PRESENCE_GATEWAY_SANDBOX": "true",
        "PRESENCE_GATEWAY_LISTEN": f"127.0.0.1:{grpc}",
        "PRESENCE_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "PRESENCE_GATEWAY_LAME_DUCK": "0s",
    }
    with processes.serving(gateway, given, health, tmp_path_factory.mktemp("services") / "log"):
        served = processes.services(grpc)
    public = {service for service in served if not service.startswith(INTERNAL)}
    assert public and public < served, f"reflection lists {sorted(served)}"
    return public


def test_every_list_of_services_has_all_public_ones(public):
    lists = {named(r): set(SERVICE.findall(json.dumps(r))) for r in manifests.render("production+all")}
    lists = {name: services for name, services in lists.items() if services}
    assert "GRPCRoute presence-gateway" in lists, f"services are listed by {sorted(lists)}"
    for name, services in lists.items():
        assert services >= public, f"{name} leaves out {sorted(public - services)}"
        assert services <= public, f"{name} lists {sorted(services - public)}, which callers may not use"


def test_a_route_matches_each_service_exactly(public):
    (rule,) = the(manifests.render("production+gateway-api"), "GRPCRoute")["spec"]["rules"]
    wanted = [{"method": {"type": "Exact", "service": service}} for service in sorted(public)]
    assert sorted(rule["matches"], key=lambda match: match["method"]["service"]) == wanted
