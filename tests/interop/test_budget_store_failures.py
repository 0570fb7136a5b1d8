"""What calls see, and what the log has, while the budget store fails (docs/shared-budget.md)."""

import subprocess
from contextlib import contextmanager

import grpc
import pytest

from budget_store import LIMIT, PATIENT, Redis, run_replicas, wait_for
from operations import ROOT
from processes import environment, free_port

OK = grpc.StatusCode.OK
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
LOST = "the budget store cannot be used"
BACK = "the budget store is reachable"


@pytest.fixture
def redis(tmp_path):
    store = Redis(tmp_path / "redis")
    yield store
    store.stop()


@contextmanager
def replicas_with(binary, tmp_path, stubs, redis, *flags):
    with run_replicas(binary, tmp_path, stubs, redis.url, *flags) as replicas:
        yield replicas


def wait_until_used(replicas):
    for replica in replicas.all:
        wait_for(lambda replica=replica: len(replica.lines(BACK)), "the store to be used")


def test_without_the_store_each_replica_limits_alone(binary, tmp_path, stubs, redis, token):
    with replicas_with(binary, tmp_path, stubs, redis) as replicas:
        assert replicas.burst(2 * LIMIT, token) == [OK] * 2 * LIMIT
        for replica in replicas.all:
            [line] = replica.lines(LOST)
            assert "refused" in line["reason"]
            assert replica.read(token) == EXHAUSTED


def test_a_store_that_returns_learns_what_was_counted_without_it(binary, tmp_path, stubs, redis, token):
    with replicas_with(binary, tmp_path, stubs, redis, *PATIENT) as replicas:
        first, second = replicas.all
        for _ in range(LIMIT):
            assert first.read(token) == OK
        redis.start()
        wait_until_used(replicas)
        assert second.read(token) == EXHAUSTED, "the first replica has told the store of its requests"


def test_a_store_that_restarts_empty_learns_all_again(binary, tmp_path, stubs, redis, token):
    redis.start()
    with replicas_with(binary, tmp_path, stubs, redis, *PATIENT) as replicas:
        wait_until_used(replicas)
        assert replicas.burst(LIMIT, token) == [OK] * LIMIT
        redis.stop()
        redis.start()
        for replica in replicas.all:
            wait_for(lambda replica=replica: len(replica.lines(BACK)) == 2, "the store to be used again")
            assert len(replica.lines(LOST)) == 1, "an outage is one line of the log"
        for replica in replicas.all:
            assert replica.read(token) == EXHAUSTED, "each has sent what it counted"


def test_a_frozen_store_fails_no_call_and_runs_nothing_later(binary, tmp_path, stubs, redis, token):
    redis.start()
    with replicas_with(binary, tmp_path, stubs, redis) as replicas:
        wait_until_used(replicas)
        with redis.frozen():
            assert replicas.burst(LIMIT, token) == [OK] * LIMIT
            for replica in replicas.all:
                # Each of them waits for 50 ms at most, until the connection is given up.
                wait_for(lambda replica=replica: replica.read(token) and replica.lines(LOST), "the log")
        for replica in replicas.all:
            wait_for(lambda replica=replica: len(replica.lines(BACK)) > 1, "the store to be used again")
        [key] = redis.keys()
        requests = replicas.requests()
        counted = int(redis.cli("strlen", key)) // 4 - 2
        assert counted == requests, f"{requests} requests were sent, and {counted} are counted"


def test_a_frozen_store_fails_no_call_whose_deadline_is_before_its_timeout(binary, tmp_path, stubs, redis, token):
    redis.start()
    with replicas_with(binary, tmp_path, stubs, redis, *PATIENT) as replicas:
        wait_until_used(replicas)
        with redis.frozen():
            assert replicas.burst(4, token, deadline=0.8) == [OK] * 4


def test_the_log_says_that_the_store_has_closed_the_connection(binary, tmp_path, stubs, redis):
    redis.start()
    with replicas_with(binary, tmp_path, stubs, redis, *PATIENT) as replicas:
        wait_until_used(replicas)
        redis.stop()
        for replica in replicas.all:
            [line] = wait_for(lambda replica=replica: replica.lines(LOST), "the log")
            assert line["reason"] == "it closed the connection"


def run_check(binary, *words, **variables):
    """Runs `serve --check` on the sandbox."""
    command = [binary, "serve", "--check", "--sandbox", *words]
    env = environment(**variables)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)


def test_a_check_tries_the_store(binary, redis):
    redis.start()
    result = run_check(binary, "--budget-store", redis.url)
    assert result.returncode == 0, result.stderr
    assert f"{redis.url}, responded" in result.stdout


@pytest.mark.parametrize(
    ("options", "login", "wanted"),
    [
        (("--requirepass", "s3cret"), "", "requires a password"),
        (("--requirepass", "s3cret"), ":wrong@", "rejects the user or password"),
        (("--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "yes"), "", "read-only replica"),
        (("--maxmemory", "1"), "", "out of memory"),
        # Without a port for its bus, a node adds 10,000 to its own, which may be too high.
        (("--cluster-enabled", "yes", "--cluster-port", str(free_port())), "", "write `redis-cluster://`"),
        (("--user", "noscript", "on", ">pw", "~*", "+@all", "-eval", "-evalsha"), "noscript:pw@", "ACL"),
    ],
    ids=["needs a login", "wrong password", "replica", "out of memory", "node of a cluster", "ACL"],
)
def test_a_check_says_why_a_store_cannot_be_used(binary, tmp_path, options, login, wanted):
    redis = Redis(tmp_path / "redis", *options).start()
    try:
        result = run_check(binary, "--budget-store", redis.url.replace("//", f"//{login}"))
    finally:
        redis.stop()
    assert result.returncode == 64
    assert wanted in result.stderr, result.stderr
    assert "wrong" not in result.stderr and "pw" not in result.stderr, "no password in a message"


def test_a_password_comes_from_a_file(binary, tmp_path):
    redis = Redis(tmp_path / "redis", "--requirepass", "s3cret").start()
    password = tmp_path / "password"
    password.write_text("s3cret\n", encoding="utf-8")
    try:
        words = ("--budget-store", redis.url, "--budget-store-password-file", str(password))
        assert run_check(binary, *words).returncode == 0
        wrong = run_check(binary, "--budget-store", redis.url.replace("//", "//:x@"), *words[2:])
    finally:
        redis.stop()
    assert wrong.returncode == 64
    assert "give one of the two" in wrong.stderr


def test_the_permissions_of_the_page_are_enough(binary, tmp_path):
    page = (ROOT / "docs/shared-budget.md").read_text("utf-8")
    [permissions] = [line for line in page.splitlines() if line.startswith("+evalsha")]
    options = ("--user", "gateway", "on", ">s3cret", *permissions.split())
    redis = Redis(tmp_path / "redis", *options).start()
    try:
        result = run_check(binary, "--budget-store", redis.url.replace("//", "//gateway:s3cret@"))
    finally:
        redis.stop()
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--budget-store", "http://cache"), "is an HTTP address"),
        (("--budget-store", "cache:6379"), "has no scheme"),
        (("--budget-store", "redis-sentinel://cache"), "lacks the name of the primary"),
        (("--budget-store", "redis://user@cache"), "names a user, but no password"),
        (("--budget-store", "redis://user:wo/rd@cache"), "percent-encoded"),
        (("--budget-secret", "/dev/null"), "has no effect without --budget-store"),
        (("--budget-store", "redis://cache", "--budget-secret", "/dev/null"), "neither a file nor a pipe"),
        (("--budget-store", "redis://cache", "--budget-store-timeout", "2s"), "is not between 1ms and 1s"),
        (("--budget-store", "redis://cache", "--budget-store-ca", "/dev/null"), "reached without TLS"),
        (("--budget-store", "redis://cache", "--token-requests-per-minute", "0"), "sets no limit"),
    ],
)
def test_a_wrong_setting_is_an_error_with_what_is_right(binary, words, wanted):
    result = run_check(binary, *words)
    assert result.returncode == 64
    assert wanted in result.stderr
    assert "wo/rd" not in result.stderr


def test_a_secret_in_place_of_its_file_is_not_shown(binary):
    words = ("--budget-store", "redis://cache", "--budget-secret", "a-secret-of-ours", "--budget-store-password-file", "pw")
    result = run_check(binary, *words)
    assert result.returncode == 64
    assert "--budget-secret: `… (a file)` cannot be read" in result.stderr
    assert "secret-of-ours" not in result.stderr
