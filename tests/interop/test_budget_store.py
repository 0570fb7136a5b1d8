"""Replicas share the requests of a token in a real Redis (docs/shared-budget.md)."""

import grpc
import pytest

from budget_store import KEY, LIMIT, PATIENT, Redis, run_replicas, wait_for
from clients import new_token

OK = grpc.StatusCode.OK
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    store = Redis(tmp_path_factory.mktemp("redis")).start()
    yield store
    store.stop()


@pytest.fixture
def replicas(binary, tmp_path, stubs, redis):
    with run_replicas(binary, tmp_path, stubs, redis.url, *PATIENT) as replicas:
        yield replicas


def test_all_replicas_together_stay_within_the_limit(replicas, token):
    statuses = replicas.burst(LIMIT + 10, token)
    assert statuses.count(OK) == LIMIT, "the limit is for all replicas together"
    assert statuses.count(EXHAUSTED) == 10
    assert replicas.requests() == LIMIT, "a rejected call costs the vendor nothing"


def test_one_token_does_not_use_the_budget_of_another(replicas, token):
    replicas.burst(LIMIT, token)
    assert replicas.burst(LIMIT, new_token()) == [OK] * LIMIT


def test_a_throttle_of_the_vendor_holds_in_all_replicas(replicas, token):
    first, second = replicas.all
    assert second.read(token) == OK
    replicas.sandbox.misbehave("retry-after=30 times=1")
    assert first.read(token) == EXHAUSTED
    before = replicas.requests()

    def second_knows():
        return second.read(token) == EXHAUSTED

    wait_for(second_knows, "the other replica to learn of the throttle")
    assert replicas.requests() - before <= 1, "a replica that knows of the throttle sends nothing"


def test_a_bulk_call_that_cannot_be_whole_takes_nothing(replicas, token):
    first, second = replicas.all
    assert first.read_bulk(token, 50 * (LIMIT + 1)) == EXHAUSTED
    assert replicas.requests() == 0, "it is rejected before its first request"
    assert replicas.burst(LIMIT, token) == [OK] * LIMIT, "the budget is still there"


def test_the_batches_of_a_bulk_call_take_one_round_trip(replicas, redis, token):
    def checks():
        lines = redis.cli("info", "commandstats").splitlines()
        found = [line for line in lines if line.startswith("cmdstat_evalsha:")]
        return int(found[0].split("calls=")[1].split(",")[0])

    replicas.burst(2, new_token())
    before = checks()
    assert replicas.all[0].read_bulk(token, 50 * 10) == OK
    assert checks() - before == 1
    assert replicas.all[1].read(token) == OK
    assert checks() - before == 2
    assert replicas.all[0].read_bulk(token, 50 * 4, partial=True) == OK
    assert checks() - before == 3


def test_a_partial_bulk_call_sends_the_batches_that_fit(replicas, token):
    assert replicas.all[0].read_bulk(token, 50 * (LIMIT + 1), partial=True) == OK
    assert replicas.requests() == LIMIT


def test_turns_of_calls_that_leave_go_back(replicas, token, redis):
    assert replicas.burst(LIMIT, token) == [OK] * LIMIT
    size = redis.cli("strlen", key := newest_key(redis))
    stub = replicas.all[0]
    module = stub._stubs.presence
    service = stub._stubs.presence_grpc.PresenceServiceStub(stub._channel)
    request = module.GetUserPresencesPurecloudRequest(user_id="user")
    waiting = [
        service.GetUserPresencesPurecloud.future(
            request, metadata=[("authorization", f"Bearer {token}")], timeout=100)
        for _ in range(5)
    ]
    longer = str(int(size) + 4 * len(waiting))
    wait_for(lambda: redis.cli("strlen", key) == longer, "the waiting calls to take their turns")
    for call in waiting:
        call.cancel()
    wait_for(lambda: redis.cli("strlen", key) == size, "the turns to go back")


def test_the_store_holds_a_hash_for_a_time_and_little_memory(replicas, token, redis):
    redis.cli("flushall")
    replicas.burst(LIMIT, token)
    [key] = redis.keys()
    assert KEY.match(key), "a key is a hash"
    assert 30_000 < int(redis.cli("pttl", key)) < 130_000, "it expires by itself"
    assert token not in redis.cli("get", key)


def test_three_hundred_requests_take_less_than_two_kilobytes(binary, tmp_path, stubs, redis, token):
    redis.cli("flushall")
    with run_replicas(binary, tmp_path, stubs, redis.url, *PATIENT, limit=300) as replicas:
        for _ in range(6):
            assert replicas.burst(50, token) == [OK] * 50
        [key] = redis.keys()
        assert int(redis.cli("memory", "usage", key)) < 2048


def test_a_secret_changes_the_keys(binary, tmp_path, stubs, redis, token):
    secret = tmp_path / "secret"
    secret.write_text("a secret of more than sixteen bytes\n", encoding="utf-8")
    keys = []
    for name, flags in (("without", ()), ("with", ("--budget-secret", str(secret)))):
        redis.cli("flushall")
        (tmp_path / name).mkdir()
        with run_replicas(binary, tmp_path / name, stubs, redis.url, *PATIENT, *flags) as replicas:
            assert replicas.burst(4, token) == [OK] * 4
            keys += redis.keys()
    assert len(set(keys)) == 2, "each way, both replicas use one key, and the ways differ"


def newest_key(redis):
    """The key of the token that was used last: the one that expires last."""
    return max(redis.keys(), key=lambda key: int(redis.cli("pttl", key)))
