"""The scripts of the budget store, run by real servers."""

import itertools

import pytest

from budget_store import SERVERS, Redis
from operations import ROOT

SCRIPTS = ROOT / "src/upstream/budget_store"
TICKS = 25_000
WINDOW = 60 * TICKS
LIMIT = 3
EXPIRED, TOO_LATE, TAKEN = 0, 1, 2
NEW_TURN = -1


@pytest.fixture(scope="module", params=SERVERS)
def redis(request, tmp_path_factory):
    store = Redis(tmp_path_factory.mktemp("redis"), server=SERVERS[request.param]).start()
    yield store
    store.stop()


class Record:
    """The record of one token; times are ticks of the server's clock."""

    names = itertools.count()

    def __init__(self, redis):
        self._redis = redis
        self.key = f"record-{next(self.names)}"

    def _run(self, script, *arguments):
        text = "".join((SCRIPTS / part).read_text("utf-8") for part in ("record.lua", script))
        reply = self._redis.cli("eval", text, "1", self.key, *(str(argument) for argument in arguments))
        return [int(line) for line in reply.splitlines()]

    def now(self):
        seconds, microseconds = (int(line) for line in self._redis.cli("time").splitlines())
        return seconds * TICKS + microseconds // 40

    def take(self, count, within=600, expiry=None):
        """Takes turns; returns the status and the times of the turns."""
        now = self.now()
        status, at, _, *starts = self._run(
            "take.lua", LIMIT, WINDOW, expiry or now + TICKS, now + within * TICKS, count)
        return status, [at + start for start in starts]

    def confirm(self, turn=NEW_TURN):
        _, at, throttle, start = self._run("confirm.lua", LIMIT, WINDOW, self.now() + TICKS, turn)
        return at + start, throttle

    def amend(self, *, throttle=0, remove=(), known=(), add=()):
        self._run("amend.lua", WINDOW, throttle, len(remove), len(known), *remove, *known, *add)

    def size(self):
        """How many starts the record has; -2 if there is none."""
        return int(self._redis.cli("strlen", self.key)) // 4 - 2

    def write(self, *numbers):
        """Writes the record as it is: the throttle, the last change, the starts."""
        script = "local t = {} for i, n in ipairs(ARGV) do t[i] = struct.pack('>I4', n) end " \
                 "return redis.call('SET', KEYS[1], table.concat(t))"
        self._redis.cli("eval", script, "1", self.key, *(str(number % 2**32) for number in numbers))


@pytest.fixture
def record(redis):
    return Record(redis)


def test_a_turn_is_a_window_after_the_one_that_is_the_limit_before_it(record):
    _, first = record.take(LIMIT)
    _, second = record.take(LIMIT)
    assert [later - earlier for earlier, later in zip(first, second)] == [WINDOW] * LIMIT


def test_no_two_turns_have_the_same_time(record):
    _, turns = record.take(LIMIT)
    assert len(set(turns)) == LIMIT


def test_a_check_that_has_expired_takes_nothing(record):
    assert record.take(1, expiry=1) == (EXPIRED, [])
    assert record.size() == -2, "there is no record"


def test_turns_that_would_be_too_late_are_not_taken(record):
    record.take(LIMIT)
    status, _ = record.take(1, within=30)
    assert status == TOO_LATE
    assert record.size() == LIMIT


def test_a_turn_that_goes_back_is_there_again(record):
    _, turns = record.take(LIMIT)
    record.amend(remove=turns[-1:])
    record.amend(remove=turns[-1:])
    status, _ = record.take(1, within=1)
    assert status == TAKEN


def test_a_start_that_is_known_counts_once(record):
    start = record.now()
    for _ in range(2):
        record.amend(known=[start, start + 1])
    assert record.size() == 2


def test_two_requests_that_start_at_the_same_time_both_count(record):
    start = record.now()
    for _ in range(2):
        record.amend(add=[start, start + 1])
    assert record.size() == 4


def test_a_turn_moves_if_the_requests_before_it_were_late(record):
    _, first = record.take(LIMIT)
    _, second = record.take(LIMIT)
    late = [turn + 3 * TICKS for turn in first]
    record.amend(remove=first, add=late)
    moved, _ = record.confirm(second[0])
    assert moved >= late[0] + WINDOW, "no minute has more than the limit"
    assert record.size() == 2 * LIMIT, "it was moved, not added"


def test_a_turn_that_holds_is_confirmed_as_it_is(record):
    _, turns = record.take(2 * LIMIT)
    assert record.confirm(turns[-1])[0] == turns[-1]


def test_a_request_without_a_turn_gets_one(record):
    record.take(LIMIT)
    turn, _ = record.confirm()
    assert turn > record.now() + WINDOW - 10 * TICKS
    assert record.size() == LIMIT + 1


def test_a_throttle_delays_turns_and_the_longest_holds(record):
    until = record.now() + 20 * TICKS
    record.amend(throttle=until)
    record.amend(throttle=until - 10 * TICKS)
    _, [turn] = record.take(1)
    assert abs(turn - until) <= 2
    assert record.confirm(turn)[1] > 15 * TICKS


def test_a_throttle_that_has_passed_is_forgotten(record, redis):
    now = record.now()
    record.write(now - 5 * TICKS, now - 6 * TICKS)
    record.take(1)
    assert redis.cli("eval", "return string.byte(redis.call('GET', KEYS[1]), 1)", "1", record.key) == "0"


def test_more_turns_than_a_script_can_unpack_are_taken(record):
    status, turns = record.take(9000, within=10_000_000)
    assert status == TAKEN
    assert len(turns) == 9000


@pytest.mark.parametrize("back", [1, 30, 900, 3600])
def test_the_record_moves_with_a_clock_that_is_set_back(record, back):
    ahead = record.now() + back * TICKS
    record.write(0, ahead, ahead - 20 * TICKS, ahead - 10 * TICKS)
    status, [turn] = record.take(1)
    assert (status, record.size()) == (TAKEN, LIMIT)
    assert turn < record.now() + TICKS, "a request that is within the limit starts now"
    _, [later] = record.take(1)
    assert abs(later - record.now() - WINDOW + 20 * TICKS) < TICKS, "the oldest was sent 20 s ago"


def test_a_throttle_moves_with_a_clock_that_is_set_back(record):
    ahead = record.now() + 900 * TICKS
    record.write(ahead + 10 * TICKS, ahead)
    _, [turn] = record.take(1)
    assert abs(turn - record.now() - 10 * TICKS) < TICKS


@pytest.mark.parametrize("words", [("set", "x"), ("set", "123456789"), ("hset", "a", "b")])
def test_what_something_else_has_written_is_replaced(record, redis, words):
    redis.cli(words[0], record.key, *words[1:])
    assert record.take(1)[0] == TAKEN
    assert record.size() == 1
