"""Fixtures: the rendered resources, and the programs under test."""

import os
import re
import subprocess
from pathlib import Path

import manifests
import processes
import pytest


@pytest.fixture(params=manifests.COMPOSITIONS)
def resources(request):
    """The resources of each composition in turn."""
    return manifests.render(request.param)


@pytest.fixture(scope="session")
def gateway():
    """The path of the gateway's program."""
    return Path(os.environ["PRESENCE_GATEWAY_BIN"])


@pytest.fixture(scope="session")
def tools():
    """The directory of Prometheus' programs."""
    return Path(os.environ["PROMETHEUS_BIN"])


@pytest.fixture(scope="session")
def known(gateway):
    """The variables that `serve` has flags for."""
    usage = subprocess.run(
        [gateway, "serve", "--help"], env=processes.environment(), capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"\[env:\s+(PRESENCE_GATEWAY_\w+)", usage))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A directory like the mount of cert-manager's secret."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
        + ["-subj", "/CN=presence-gateway", "-addext", "subjectAltName=DNS:presence-gateway"]
        + ["-keyout", directory / "tls.key", "-out", directory / "tls.crt"],
        check=True,
        capture_output=True,
    )
    (directory / "ca.crt").write_bytes((directory / "tls.crt").read_bytes())
    return directory
