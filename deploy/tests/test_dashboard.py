"""Prometheus accepts the dashboard's queries, and the gateway's metrics give them results."""

import json
import math
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import manifests
import processes
import pytest
import yaml

DASHBOARD = manifests.DEPLOY / "components/monitoring/dashboard.json"
WITHIN = 30  # seconds


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def queries():
    """Each query of each panel, as Grafana sends it with all options selected."""
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "1m").replace("$namespace", ".*").replace("$rpc", ".*")
            assert "$" not in query, f"{panel['title']}: {query} has a variable that this test does not replace"
            yield f"{panel['title']} {target['refId']}", query


def test_every_query_parses(tools, tmp_path):
    rules = [{"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([tools / "promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_panels_have_descriptions_and_do_not_overlap():
    titles = [panel["title"] for panel in panels()]
    assert len(titles) == len(set(titles))
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_the_config_map_holds_the_dashboard_unchanged():
    maps = manifests.of_kind(manifests.render("production+monitoring"), "ConfigMap")
    (found,) = [found for found in maps if found["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert found["data"] == {"presence-gateway.json": DASHBOARD.read_text(encoding="utf-8")}


# Against a real Prometheus.


@contextmanager
def running(command, log):
    """Runs a program for a block."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command], env=processes.environment(), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(processes.WITHIN)


def http(url, body=None):
    """The body of the response; retries a refused connection for a while."""
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            with urllib.request.urlopen(url, body, timeout=10) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            # 503 while Prometheus is starting; anything else is final.
            assert error.code == 503 and time.monotonic() < deadline, f"{url}: {error.code} {error.read()}"
        except OSError as error:
            assert time.monotonic() < deadline, f"{url}: {error}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def prometheus(gateway, tools, tmp_path_factory):
    """Queries a Prometheus that scrapes a gateway with calls of every outcome."""
    directory = tmp_path_factory.mktemp("live")
    vendor, port, health, metrics, own = processes.free_ports(5)
    (directory / "prometheus.yaml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s"},
                "scrape_configs": [{"job_name": "presence-gateway", "static_configs": [{"targets": [f"127.0.0.1:{metrics}"]}]}],
            }
        ),
        encoding="utf-8",
    )
    settings = {
        "PRESENCE_GATEWAY_UPSTREAM_URL": f"http://127.0.0.1:{vendor}",
        "PRESENCE_GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "PRESENCE_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "PRESENCE_GATEWAY_METRICS_LISTEN": f"127.0.0.1:{metrics}",
        "PRESENCE_GATEWAY_TOKEN_REQUESTS_PER_MINUTE": "10",
        "PRESENCE_GATEWAY_BULK_MERGE_WINDOW": "1s",
        "PRESENCE_GATEWAY_LAME_DUCK": "0s",
    }
    scraper = [
        tools / "prometheus",
        f"--config.file={directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]

    def ask(query):
        answer = json.loads(http(f"http://127.0.0.1:{own}/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
        assert answer["status"] == "success", f"{query}: {answer}"
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    with (
        running([gateway, "sandbox", "--listen", f"127.0.0.1:{vendor}"], directory / "sandbox.log"),
        processes.serving(gateway, settings, health, directory / "gateway.log"),
        running(scraper, directory / "prometheus.log"),
    ):
        await_answer(ask, "up == 1")
        # Two rounds with a scrape between, because a rate needs growth.
        all_fates(gateway, port, vendor, metrics, "first")
        await_answer(ask, 'presence_gateway_calls_shed_total{reason="TOKEN_QUOTA_EXHAUSTED"} > 0')
        all_fates(gateway, port, vendor, metrics, "second")
        yield ask


def await_answer(ask, query):
    deadline = time.monotonic() + WITHIN
    while not (values := ask(query)) or any(math.isnan(value) for value in values):
        assert time.monotonic() < deadline, f"`{query}` gets {values} from Prometheus"
        time.sleep(0.2)


def all_fates(gateway, port, vendor, metrics, round_):
    """Makes calls with every outcome that the dashboard shows."""

    def misbehave(rule):
        http(f"http://127.0.0.1:{vendor}/sandbox/misbehave", f"{rule}\n".encode())

    def start(rpc, request, token):
        command = [gateway, "call", rpc, json.dumps(request), "--address", f"127.0.0.1:{port}", "--token", f"{round_}-{token}"]
        return subprocess.Popen(command, env=processes.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def call(rpc, request, token, expected="{"):
        process = start(rpc, request, token)
        output, _ = process.communicate(timeout=WITHIN)
        assert expected in output, f"{rpc} did not print {expected}: {output}"

    def count(counter, reason):
        """The current value of a counter of the gateway."""
        page = http(f"http://127.0.0.1:{metrics}/metrics").decode()
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
