"""A gateway that is restarted behind each proxy of docs/proxies.md: no write is lost, or applied without an answer."""

import grpc
import pytest

from proxied import sandbox_of
from proxy_restart import users_of, write_through_a_restart
from reverse_proxies import PROXIES


@pytest.fixture(scope="module")
def restarted(binary, stubs, tmp_path_factory):
    """What the writers were told, and what the vendor applied."""
    directory = tmp_path_factory.mktemp("restart")
    flags = ("--users", "1000", "--latency", "200ms")
    with sandbox_of(binary, directory, *flags) as sandbox:
        outcomes = write_through_a_restart(binary, directory, sandbox, PROXIES, stubs)
        return outcomes, [entry for entry in sandbox.journal() if entry["method"] == "PATCH"]


@pytest.mark.parametrize("name", PROXIES)
def test_no_write_is_lost_or_applied_without_an_answer(restarted, name):
    outcomes, journal = restarted
    outcome = outcomes[name]
    own = users_of(list(PROXIES).index(name))
    applied = [user for user in own for entry in journal if user in entry["path"] and entry["status"] == 200]

    assert sorted(applied) == sorted(outcome.answered), f"applied and answered differ; failed: {outcome.failed}"
    # There is but one gateway, whose port is nobody's for a moment: who calls then is told so at once.
    codes = {error.code() for error in outcome.failed.values()}
    assert codes <= {grpc.StatusCode.UNAVAILABLE}, outcome.failed
    assert outcome.found_the_new_one, f"{name} does not find the new gateway: {outcome.failed}"
