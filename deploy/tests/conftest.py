"""Fixtures: the rendered resources, and the programs under test."""

import os
from pathlib import Path

import manifests
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
