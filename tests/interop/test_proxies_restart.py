"""A restart of the gateway behind each proxy of docs/proxies.md loses no write and applies none without a response."""

import grpc
import pytest

from proxied import run_sandbox
from proxy_restart import users_of, write_through_a_restart
from reverse_proxies import PROXIES


@pytest.fixture(scope="module")
def restarted(binary, stubs, tmp_path_factory):
    """The outcomes of the writes, and the writes that the vendor applied."""
    directory = tmp_path_factory.mktemp("restart")
    flags = ("--users", "1000", "--latency", "200ms")
    with run_sandbox(binary, directory, *flags) as sandbox:
        outcomes = write_through_a_restart(binary, directory, sandbox, PROXIES, stubs)
        return outcomes, [entry for entry in sandbox.journal() if entry["method"] == "PATCH"]


@pytest.mark.parametrize("name", PROXIES)
def test_no_write_is_lost_or_applied_without_an_answer(restarted, name):
    outcomes, journal = restarted
    outcome = outcomes[name]
    own = users_of(list(PROXIES).index(name))
    applied = [user for user in own for entry in journal if user in entry["path"] and entry["status"] == 200]

    assert sorted(applied) == sorted(outcome.answered), f"applied and acknowledged differ; failed: {outcome.failed}"
    # There is only one gateway, and its port is closed for a moment: calls fail at once then.
    codes = {error.code() for error in outcome.failed.values()}
    assert codes <= {grpc.StatusCode.UNAVAILABLE}, outcome.failed
    assert outcome.found_the_new_one, f"{name} does not find the new gateway: {outcome.failed}"
