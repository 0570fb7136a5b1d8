"""Plays the services of ../compose.yaml from packages: with their own commands, files and environment, on free ports.

Of Debian: Prometheus, Alertmanager, and Redis for Valkey. rotel stands for the collector, an SMTP server of
aiosmtpd for the inbox. Jaeger and Grafana are in no package.
"""

import json
import os
import re
import threading
import time
from contextlib import ExitStack, contextmanager
from email import message_from_bytes, policy
from importlib.util import find_spec
from pathlib import Path

import manifests
import processes
import yaml
from aiosmtpd.controller import Controller
from monitored import http

FILE = manifests.DEPLOY / "compose.yaml"
WITHIN = 60  # seconds
# So many seconds of the test are a minute of the rules.
MINUTE = 3


def compose():
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def mounts(service):
    """The files of this directory that a service mounts, by their path in the container."""
    volumes = (volume.split(":") for volume in service.get("volumes", ()))
    return {target: manifests.DEPLOY / source for source, target, _ in volumes}


def until(attempt, what):
    """The first value of `attempt` that is true."""
    deadline = time.monotonic() + WITHIN
    while not (value := attempt()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)
    return value


class Inbox:
    """The mails that an SMTP server received: recipient, subject, text."""

    def __init__(self):
        self._mails = []
        self._changed = threading.Condition()

    async def handle_DATA(self, server, session, envelope):  # noqa: N802, the name is aiosmtpd's
        mail = message_from_bytes(envelope.content, policy=policy.default)
        text = re.sub(r"<[^>]*>", "", mail.get_body(("html",)).get_content())
        with self._changed:
            self._mails.append((envelope.rcpt_tos[0], mail["subject"], text))
            self._changed.notify_all()
        return "250 OK"

    def await_mail(self, recipient, words, within):
        """The text of the mail to `recipient` that has all words in its subject."""

        def found():
            return [t for to, subject, t in self._mails if to == recipient and all(word in subject for word in words)]

        with self._changed:
            self._changed.wait_for(found, within)
            assert found(), f"no mail to {recipient} about {words}, but {[mail[:2] for mail in self._mails]}"
            return found()[0]


class Played:
    """The stack, as a test or a reader of docs/local-stack.md asks it."""

    def __init__(self, gateway, directory, inbox, addresses):
        self.gateway = gateway
        self.directory = directory
        self.inbox = inbox
        self._addresses = addresses

    def url(self, service, port):
        return f"http://{self._addresses(service, port)}"

    def prometheus(self, path):
        answer = json.loads(http(f"{self.url('prometheus', 9090)}/api/v1/{path}"))
        assert answer["status"] == "success", f"{path}: {answer}"
        return answer["data"]

    def log(self, service):
        return (self.directory / f"{service}.log").read_text(encoding="utf-8", errors="replace")


class _Addresses:
    """The address here of each port of each service."""

    def __init__(self):
        self._ports = {}

    def __call__(self, service, port):
        if (service, int(port)) not in self._ports:
            (self._ports[service, int(port)],) = processes.free_ports(1)
        return f"127.0.0.1:{self._ports[service, int(port)]}"

    def put(self, text, service):
        """Replaces the addresses in a text that `service` reads."""
        names = "|".join(compose()["services"])
        text = re.sub(rf"\b({names}):(\d+)\b", lambda found: self(*found.groups()), text)
        return re.sub(r"\b0\.0\.0\.0:(\d+)\b", lambda found: self(service, found[1]), text)


@contextmanager
def played(gateway, tools, directory):
    """Plays the stack for a block."""
    services = compose()["services"]
    addresses = _Addresses()
    inbox = Inbox()

    def placed(name):
        """The command of a service whose files are in a directory of its own."""
        root = directory / name
        places = list(services[name].get("tmpfs", ()))
        for target, source in mounts(services[name]).items():
            places.append(target)
            file = root / target.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_quick(source, addresses.put(source.read_text(encoding="utf-8"), name)), encoding="utf-8")
        inside = re.compile(rf"(?<==)({'|'.join(map(re.escape, sorted(places)))})$")
        return [inside.sub(lambda found: f"{root}{found[0]}", word) for word in services[name]["command"]]

    def environment(name):
        return {key: addresses.put(value, name) for key, value in services[name]["environment"].items()}

    health = processes.free_ports(1)[0]
    settings = environment("gateway") | {"PRESENCE_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{health}"}
    smtp = Controller(inbox, *addresses("mail", 1025).split(":"))
    rotel = Path(find_spec("rotel").origin).parent / "rotel-agent"
    with ExitStack() as stack:

        def run(name, command, settings=()):
            stack.enter_context(processes.running(command, directory / f"{name}.log", settings))

        smtp.start()
        stack.callback(smtp.stop)
        # The ports on which collector.yaml has its receivers.
        receivers = yaml.safe_load((manifests.DEPLOY / "stack/collector.yaml").read_text(encoding="utf-8"))["receivers"]
        listen = {p: addresses.put(each["endpoint"], "collector") for p, each in receivers["otlp"]["protocols"].items()}
        run(
            "collector",
            [rotel, "start", "--otlp-grpc-endpoint", listen["grpc"], "--otlp-http-endpoint", listen["http"]]
            + ["--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"]
            + ["--batch-timeout", "200ms"],
        )
        run(
            "alertmanager",
            [*_with_templates(tools), tools / "prometheus-alertmanager", *placed("alertmanager")]
            + [f"--web.listen-address={addresses('alertmanager', 9093)}"],
        )
        run(
            "prometheus",
            [tools / "prometheus", *placed("prometheus"), f"--web.listen-address={addresses('prometheus', 9090)}"],
        )
        own, *options = services["store"]["command"]
        run("store", [own.replace("valkey", "redis"), *options, "--port", addresses("store", 6379).partition(":")[2]])
        stack.enter_context(processes.serving(gateway, settings, health, directory / "gateway.log"))
        (directory / "bin").mkdir()
        (directory / "bin/presence-gateway").symlink_to(gateway)
        path = {"PATH": f"{directory / 'bin'}:{os.environ['PATH']}"}
        run("load", [manifests.DEPLOY / "stack/load"], environment("load") | path)
        yield Played(gateway, directory, inbox, addresses)


def _quick(source, text):
    """A file with shorter times: a scrape and a notification in a second, a minute of a rule in `MINUTE` seconds."""
    if source.name == "rules.yaml":
        rules = yaml.safe_load(text)
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            for key in ("expr", "for"):
                rule[key] = re.sub(r"\b(\d+)m\b", lambda found: f"{int(found[1]) * MINUTE}s", rule[key])
        return yaml.safe_dump(rules)
    return re.sub(r"(\w+(?:interval|wait)): (?:\d+[sm])", r"\1: 1s", text)


def _with_templates(tools):
    """What Debian's Alertmanager, unpacked and not installed, needs in front, because it reads its templates from there."""
    if Path("/usr/share/prometheus/alertmanager").exists():
        return []
    share = tools.parent / "share"
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', share]
