"""Prometheus accepts the dashboard's queries, the gateway's metrics give them results, and the panels can be drawn."""

import json
import math
import re
import subprocess
import time
from pathlib import Path

import budget_store
import drawing
import grafana
import manifests
import processes
import pytest
import yaml
from monitored import WITHIN, http, monitored
from PIL import Image

PICTURE = manifests.DEPLOY / "dashboard.png"


def queries():
    """Each query of each panel, as Grafana sends it with all options selected, over more time than these tests take."""
    dashboard = grafana.load()
    for panel in grafana.panels(dashboard):
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", grafana.expression(dashboard, target, "10m")


def test_every_query_parses(tools, tmp_path):
    rules = [{"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([tools / "promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def problems(dashboard):
    """What of a dashboard Grafana's own types do not have."""
    here = Path(__file__).parent
    done = subprocess.run(
        ["node", "dashboard-types.mjs"], cwd=here, input=json.dumps(dashboard), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_grafanas_types_have_each_field_of_the_dashboard():
    assert problems(grafana.load()) == []


def test_a_misspelt_field_or_value_is_reported():
    text = json.dumps(grafana.load())
    for right, wrong in (('"refresh"', '"refreshed"'), ('"placement"', '"place"'), ('"desc"', '"falling"')):
        assert right in text
        text = text.replace(right, wrong)
    reported = " ".join(problems(json.loads(text)))
    assert all(word in reported for word in ("refreshed", "place", "falling")), reported


def test_panels_have_descriptions_and_do_not_overlap():
    panels = grafana.panels(grafana.load())
    titles = [panel["title"] for panel in panels]
    assert len(titles) == len(set(titles))
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_the_config_map_holds_the_dashboard_unchanged():
    maps = manifests.of_kind(manifests.render("production+monitoring"), "ConfigMap")
    (found,) = [found for found in maps if found["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert found["data"] == {"presence-gateway.json": grafana.DASHBOARD.read_text(encoding="utf-8")}


# Against a real Prometheus.


@pytest.fixture(scope="module")
def prometheus(gateway, tools, tmp_path_factory):
    """A Prometheus that scrapes a gateway with calls of every outcome."""
    directory = tmp_path_factory.mktemp("live")
    with (
        budget_store.serving(directory) as store,
        monitored(
            gateway,
            tools,
            directory,
            "1s",
            {
                "PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE": "10",
                "PRESENCE_GATEWAY_BULK_MERGE_WINDOW": "1s",
                "PRESENCE_GATEWAY_BUDGET_STORE": store.url,
            },
        ) as stack,
    ):
        await_answer(stack, "up == 1")
        # Two rounds with a scrape between, because a rate needs growth.
        all_fates(gateway, stack, "first")
        await_answer(stack, 'presence_gateway_calls_shed_total{reason="TOKEN_QUOTA_EXHAUSTED"} > 0')
        all_fates(gateway, stack, "second")
        yield stack


def await_answer(stack, query):
    deadline = time.monotonic() + WITHIN
    while not (values := [float(series["value"][1]) for series in stack.query(query)]) or any(map(math.isnan, values)):
        assert time.monotonic() < deadline, f"`{query}` gets {values} from Prometheus"
        time.sleep(0.2)


def await_line(process, expected):
    """Reads the lines of a call until one has this text."""
    while expected not in (line := process.stdout.readline()):
        assert line, f"no line has {expected}"


def all_fates(gateway, stack, round_):
    """Makes calls with every outcome that the dashboard shows."""
    misbehave = stack.misbehave

    def start(rpc, request, token):
        command = [gateway, "call", rpc, json.dumps(request), "--address", stack.address, "--token", f"{round_}-{token}"]
        return subprocess.Popen(command, env=processes.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def call(rpc, request, token, expected="{"):
        process = start(rpc, request, token)
        output, _ = process.communicate(timeout=WITHIN)
        assert expected in output, f"{rpc} did not print {expected}: {output}"

    def count(counter, reason):
        """The current value of a counter of the gateway."""
        page = http(stack.metrics).decode()
        counts = re.findall(rf'^{counter}\{{[^}}]*reason="{reason}"[^}}]*\}} (\d+)', page, re.MULTILINE)
        return int(counts[0]) if counts else 0

    def refused():
        """How often the vendor rejected a request with 429."""
        return count("presence_gateway_upstream_retries_total", "429")

    def saved(how):
        return count("presence_gateway_upstream_requests_saved_total", how)

    user = {"userId": "00000000-0000-4000-8000-000000000001"}
    call("GetUserPresencesPurecloud", user, "plain")
    call("GetUserPresencesPurecloud", {"userId": "nobody"}, "plain", "NOT_FOUND")
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(1, 121)]
    call("GetUsersPresencesPurecloudBulk", {"ids": ids}, "bulk")
    misbehave("unknown-field times=1")
    call("GetUserPresencesPurecloud", user, "drift")
    misbehave("status=503 times=1")
    call("GetUserPresencesPurecloud", user, "repeated")
    misbehave("status=500 times=1")
    call("GetUserPresencesPurecloud", user, "failed", "INTERNAL")
    # The vendor throttles the token for some seconds, and later calls wait.
    before = refused()
    misbehave("retry-after=3 times=1")
    waiting = [start("GetUserPresencesPurecloud", user, "parked")]
    deadline = time.monotonic() + WITHIN
    while refused() == before:
        assert time.monotonic() < deadline, "the vendor sent no 429"
        time.sleep(0.05)
    # Each reads another user, except the last one: its request is shared.
    shared = saved("shared")
    waiting += [start("GetUserPresencesPurecloud", {"userId": id}, "parked") for id in (ids[1], ids[2], ids[2])]
    for process in waiting:
        process.communicate(timeout=WITHIN)
    assert saved("shared") == shared + 1, "two identical reads sent two requests"
    # Repeat until two calls are close enough to share a batch.
    merged, tries = saved("merged"), 0
    deadline = time.monotonic() + WITHIN
    while saved("merged") == merged:
        assert time.monotonic() < deadline, f"no two bulk reads shared a batch in {tries} tries"
        tries += 1
        meeting = [start("GetUsersPresencesPurecloudBulk", {"ids": [id]}, f"merged-{tries}") for id in ids[:2]]
        for process in meeting:
            process.communicate(timeout=WITHIN)
    # A watch until one of its users changes.
    watch = start("WatchUsersPresences", {"ids": ids[:3]}, "watch")
    await_line(watch, '"LIVE"')
    definitions = {"first": "31fe3bac-dea6-44b7-bed7-47f91660a1a0", "second": "3fd96123-badb-4f69-bc03-1b1ccc6d8014"}
    changed = {**user, "body": {"presenceDefinition": {"id": definitions[round_]}}}
    call("PatchUserPresencesPurecloud", changed, "watch")
    await_line(watch, '"CHANGE"')
    watch.terminate()
    watch.communicate(timeout=WITHIN)
    # Each reads another user, so that no request serves two calls.
    spent = [start("GetUserPresencesPurecloud", {"userId": id}, "spent") for id in ids[:12]]
    outputs = [process.communicate(timeout=WITHIN)[0] for process in spent]
    assert sum("TOKEN_QUOTA_EXHAUSTED" in text for text in outputs) == 2, outputs


@pytest.mark.parametrize(("panel", "query"), list(queries()), ids=[title for title, _ in queries()])
def test_every_query_has_a_result_for_a_gateway_with_traffic(prometheus, panel, query):
    await_answer(prometheus, query)


@pytest.mark.parametrize(("title", "series"), [("Requests saved, by reason", 2), ("Share of requests saved", 1)])
def test_saved_requests_are_counted(prometheus, title, series):
    """A result alone proves nothing: the counters exist at 0 before a request is saved."""
    ((_, query),) = [(name, query) for name, query in queries() if name.startswith(title)]
    await_answer(prometheus, f"count(({query}) > 0) == {series}")


def test_checks_by_the_budget_store_are_counted(prometheus):
    ((_, query),) = [(name, query) for name, query in queries() if name.startswith("Checks of the rate limit, by source")]
    await_answer(prometheus, f'({query}) > 0 and on (source) label_replace(vector(1), "source", "store", "", "")')


def test_no_panel_of_durations_counts_watches():
    """A watch lasts as long as its caller wants, so its duration says nothing about the gateway."""
    durations = re.compile(r"rpc_server_call_duration_seconds_(?:bucket|sum)\{[^}]*\}")
    selectors = [selector for _, query in queries() for selector in durations.findall(query)]
    assert len(selectors) >= 3
    assert [selector for selector in selectors if 'rpc_method!~".*Watch.*"' not in selector] == []


def test_every_panel_can_be_drawn_from_the_answers(prometheus, tmp_path):
    for _, query in queries():
        await_answer(prometheus, query)
    picture = tmp_path / "dashboard.png"
    # All of the time: some panels have values only near the calls that they count. To a
    # whole second after the last scrape, because each moment that is drawn is whole.
    end = time.time() + 1
    drawn = drawing.draw(grafana.load(), prometheus, prometheus.started, end, 1, "the calls of this test", picture)
    assert set(drawn) == {panel["title"] for panel in grafana.panels(grafana.load())}
    assert [title for title, series in drawn.items() if series == 0] == [], "these panels are empty"
    assert Image.open(picture).text["Description"] == "the calls of this test"


def test_the_picture_is_of_this_dashboard():
    drawn = Image.open(PICTURE)
    assert drawn.text["Dashboard"] == grafana.fingerprint(grafana.load()), "the dashboard has changed: run `just dashboard`"
    assert PICTURE.stat().st_size < 300 * 1024
