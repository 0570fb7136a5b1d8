"""Calls of more than a minute through each proxy, with the lines of docs/proxies.md and with its defaults."""

import re

import pytest

from proxy_defaults import DEFAULTS
from proxy_page import table
from proxy_patience import KINDS, outcomes
from reverse_proxies import PROXIES

pytestmark = pytest.mark.slow

NEAR = 2  # seconds


@pytest.fixture(scope="module")
def ended(proxied_gateway, stubs, tmp_path_factory):
    """The outcomes of all calls. They run in parallel, in little more than a minute."""
    started = {(heading, "recommended"): (proxy, {}) for heading, proxy in PROXIES.items()}
    started |= {(heading, "defaults"): (PROXIES[heading], changes) for heading, changes in DEFAULTS.items() if changes}
    return outcomes(proxied_gateway, stubs, tmp_path_factory.mktemp("patience"), started)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heading", PROXIES)
def test_with_the_recommended_lines_the_call_succeeds(ended, heading, kind):
    assert ended[(heading, "recommended"), kind] == "ok"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heading", [heading for heading, changes in DEFAULTS.items() if changes])
def test_with_the_defaults_the_call_ends_as_documented(ended, heading, kind):
    documented = table("with the defaults")[kind][heading]
    seen = ended[(heading, "defaults"), kind]

    assert _code(seen) == _code(documented), f"the page has {documented}, the call gave {seen}"
    assert abs(_seconds(seen) - _seconds(documented)) <= NEAR, f"the page has {documented}, the call gave {seen}"


def _code(outcome):
    return outcome.split(" at ")[0]


def _seconds(outcome):
    found = re.search(r" at (\d+) s", outcome)
    return int(found[1]) if found else 0
