"""A gateway in front of a sandbox, and a Prometheus that scrapes it, all on free ports."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import processes
import yaml

WITHIN = 30  # seconds


class Monitored:
    """The addresses of the programs, and what one asks of them."""

    def __init__(self, address, metrics, sandbox, prometheus):
        self.address = address
        self.metrics = metrics
        self.started = time.time()
        self._sandbox = sandbox
        self._prometheus = prometheus

    def misbehave(self, rule):
        """Adds a rule of docs/sandbox.md."""
        http(f"{self._sandbox}/sandbox/misbehave", f"{rule}\n".encode())

    def behave(self):
        """Deletes all rules."""
        http(f"{self._sandbox}/sandbox/misbehave", method="DELETE")

    def query(self, expression, moment=None):
        """The result of an instant query: label sets with a value."""
        return self._ask("query", query=expression, **({} if moment is None else {"time": moment}))

    def query_range(self, expression, start, end, step):
        """The result of a range query: label sets with values."""
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def _ask(self, path, **parameters):
        answer = json.loads(http(f"{self._prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]["result"]


@contextmanager
def monitored(gateway, tools, directory, interval, settings, sandbox=()):
    """Runs the three for a block, scraped each `interval` (`5s`); their logs and data are in `directory`."""
    vendor, port, health, metrics, own = processes.free_ports(5)
    # The labels that the Prometheus operator gives to what a ServiceMonitor selects.
    target = {
        "targets": [f"127.0.0.1:{metrics}"],
        "labels": {"namespace": "presence-gateway", "pod": "presence-gateway-0"},
    }
    scrapes = [{"job_name": "presence-gateway", "static_configs": [target]}]
    configuration = {"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": scrapes}
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    addresses = {
        "PRESENCE_GATEWAY_UPSTREAM_URL": f"http://127.0.0.1:{vendor}",
        "PRESENCE_GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "PRESENCE_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "PRESENCE_GATEWAY_METRICS_LISTEN": f"127.0.0.1:{metrics}",
        "PRESENCE_GATEWAY_LAME_DUCK": "0s",
    }
    scraper = [
        tools / "prometheus",
        f"--config.file={directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with (
        processes.running([gateway, "sandbox", "--listen", f"127.0.0.1:{vendor}", *sandbox], directory / "sandbox.log"),
        processes.serving(gateway, settings | addresses, health, directory / "gateway.log"),
        processes.running(scraper, directory / "prometheus.log"),
    ):
        yield Monitored(
            f"127.0.0.1:{port}", f"http://127.0.0.1:{metrics}/metrics", f"http://127.0.0.1:{vendor}", f"http://127.0.0.1:{own}"
        )


def http(url, body=None, method=None):
    """The body of the response; retries a refused connection for a while."""
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=10) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            # 503 while Prometheus is starting; anything else is final.
            assert error.code == 503 and time.monotonic() < deadline, f"{url}: {error.code} {error.read()}"
        except OSError as error:
            assert time.monotonic() < deadline, f"{url}: {error}"
        time.sleep(0.1)
