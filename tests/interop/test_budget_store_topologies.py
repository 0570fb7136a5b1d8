"""The budget store as each kind of server, behind Sentinels, as a cluster, and over TLS (docs/shared-budget.md)."""

import subprocess
from contextlib import ExitStack

import grpc
import pytest

from budget_store import LIMIT, PATIENT, SERVERS, Redis, run_replicas, wait_for
from certificates import Authority
from clients import new_token
from operations import ROOT
from processes import environment, free_port, running
from reverse_proxies import DEBIAN, LIBRARIES

OK = grpc.StatusCode.OK
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
LOST = "the budget store cannot be used"
BACK = "the budget store is reachable"
NODES = 3


def permitted(*more):
    """The options of a server with a user of the permissions that the page lists."""
    page = (ROOT / "docs/shared-budget.md").read_text("utf-8")
    [permissions] = [line for line in page.splitlines() if line.startswith("+evalsha")]
    assert all(word in page for word in more), "the page lists them"
    return ("--user", "gateway", "on", ">s3cret", *permissions.split(), *more)


class Sentinels:
    """A primary, a replica, and a Sentinel that watches them."""

    def __init__(self, directory, stack, *options):
        self.primary = start(stack, directory / "primary", *options)
        of_primary = ("--replicaof", "127.0.0.1", str(self.primary.port))
        self.replica = start(stack, directory / "replica", *of_primary, *options)
        port = free_port()
        config = directory / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor budget 127.0.0.1 {self.primary.port} 1\n"
            "sentinel down-after-milliseconds budget 500\n"
            "sentinel failover-timeout budget 2000\n",
            encoding="utf-8",
        )
        command = [DEBIAN / "usr/bin/redis-server", config, "--sentinel"]
        log = directory / "sentinel.log"
        stack.enter_context(running(command, port, log, environment(LD_LIBRARY_PATH=LIBRARIES)))
        self.address = f"127.0.0.1:{port}/budget"
        # A failover needs a replica that is in step.
        wait_for(lambda: "slave0" in self.primary.cli("info", "replication"), "the replica to connect")
        wait_for(lambda: "master_link_status:up" in self.replica.cli("info", "replication"), "the replica's copy")
        self.cli = Redis(directory)
        self.cli.port = port
        wait_for(lambda: self.cli.cli("sentinel", "replicas", "budget"), "the Sentinel to know the replica")


def start(stack, directory, *options, **server):
    redis = Redis(directory, *options, **server).start()
    stack.callback(redis.stop)
    return redis


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


def cluster(stack, directory, *options):
    """Three primaries that have all slots."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", *options)
    # Without a port for the bus, a node adds 10,000 to its own, which may be too high.
    nodes = [
        start(stack, directory / f"node-{index}", *options, "--cluster-port", str(free_port()))
        for index in range(NODES)
    ]
    addresses = [f"127.0.0.1:{node.port}" for node in nodes]
    nodes[0].cli("--cluster", "create", *addresses, "--cluster-yes")
    for node in nodes:
        wait_for(lambda node=node: "cluster_state:ok" in node.cli("cluster", "info"), "the cluster's nodes")
    return nodes


def test_a_failover_of_sentinels_is_followed(binary, tmp_path, stubs, stack, token):
    sentinels = Sentinels(tmp_path / "store", stack)
    url = f"redis-sentinel://{sentinels.address}"
    with run_replicas(binary, tmp_path, stubs, url, *PATIENT) as replicas:
        for replica in replicas.all:
            wait_for(lambda replica=replica: replica.lines(BACK), "the store to be used")
        assert replicas.burst(LIMIT, token) == [OK] * LIMIT
        sentinels.primary.stop()
        for replica in replicas.all:
            wait_for(lambda replica=replica: len(replica.lines(BACK)) == 2, "the new primary to be used")
            assert len(replica.lines(LOST)) == 1, "a failover is one line of the log"
        for replica in replicas.all:
            assert replica.read(token) == EXHAUSTED, "the new primary knows what was counted"
        assert sentinels.replica.keys(), "the calls count at the new primary"


def test_a_cluster_shares_the_requests_of_many_tokens(binary, tmp_path, stubs, stack):
    nodes = cluster(stack, tmp_path / "store")
    url = f"redis-cluster://127.0.0.1:{nodes[0].port}"
    tokens = [new_token() for _ in range(8)]
    with run_replicas(binary, tmp_path, stubs, url, *PATIENT) as replicas:
        for each in tokens:
            statuses = replicas.burst(LIMIT + 4, each)
            assert statuses.count(OK) == LIMIT
        assert sum(bool(node.keys()) for node in nodes) > 1, "the keys are in several nodes"
        assert sum(len(node.keys()) for node in nodes) == len(tokens)


def test_a_cluster_that_has_lost_a_primary_fails_no_call(binary, tmp_path, stubs, stack, token):
    nodes = cluster(stack, tmp_path / "store")
    url = f"redis-cluster://127.0.0.1:{nodes[0].port}"
    with run_replicas(binary, tmp_path, stubs, url) as replicas:
        for replica in replicas.all:
            wait_for(lambda replica=replica: replica.lines(BACK), "the store to be used")
        with nodes[1].frozen():
            for node in (nodes[0], nodes[2]):
                wait_for(lambda node=node: "cluster_state:fail" in node.cli("cluster", "info"), "the loss")
            # Which node has a token's key is chance.
            for each in (new_token() for _ in range(6)):
                assert replicas.burst(LIMIT, each) == [OK] * LIMIT
            for replica in replicas.all:
                lost = wait_for(lambda replica=replica: replica.lines(LOST), "the log")
                assert lost[0]["reason"], "the log has a reason"
        for replica in replicas.all:
            used = len(replica.lines(BACK))
            wait_for(
                lambda replica=replica, used=used: len(replica.lines(BACK)) > used
                or len(replica.lines(BACK)) > len(replica.lines(LOST)),
                "the store to be used again",
            )
        wait_for(lambda: replicas.burst(LIMIT + 4, new_token()).count(OK) == LIMIT, "one budget for all again")


@pytest.mark.parametrize("server", SERVERS)
def test_each_kind_of_server_shares_the_requests(binary, tmp_path, stubs, stack, token, server):
    redis = start(stack, tmp_path / "redis", server=SERVERS[server])
    with run_replicas(binary, tmp_path, stubs, redis.url, *PATIENT) as replicas:
        assert replicas.burst(LIMIT + 4, token).count(OK) == LIMIT
        assert [replica.lines(LOST) for replica in replicas.all] == [[], []]


@pytest.mark.parametrize(("scheme", "more"), [("redis-sentinel", ("+role",)), ("redis-cluster", ("+cluster", "+ping"))])
def test_the_permissions_of_the_page_are_enough(binary, tmp_path, stack, scheme, more):
    directory = tmp_path / "store"
    options = permitted(*more)
    if scheme == "redis-cluster":
        address = f"127.0.0.1:{cluster(stack, directory, *options)[0].port}"
    else:
        address = Sentinels(directory, stack, *options).address
    result = run_check(binary, f"{scheme}://gateway:s3cret@{address}")
    assert result.returncode == 0, result.stderr


def test_a_store_with_tls_is_checked_against_its_ca(binary, tmp_path, stubs, stack, token):
    authority, other = Authority(), Authority("another authority")
    files = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "ca", "other")}
    pems = (*authority.issue("127.0.0.1"), authority.pem, other.pem)
    for path, pem in zip(files.values(), pems):
        path.write_bytes(pem)
    redis = Redis(
        tmp_path / "redis", "--tls-cert-file", str(files["cert"]), "--tls-key-file", str(files["key"]),
        "--tls-ca-cert-file", str(files["ca"]), "--tls-auth-clients", "no",
    )
    # The last port that is given counts.
    redis._options += ("--port", "0", "--tls-port", str(redis.port))
    redis.start()
    stack.callback(redis.stop)
    url = redis.url.replace("redis:", "rediss:")
    untrusted = run_check(binary, url, "--budget-store-ca", str(files["other"]))
    assert untrusted.returncode == 64
    assert "give its CA by --budget-store-ca" in untrusted.stderr, untrusted.stderr
    plain = run_check(binary, redis.url)
    assert plain.returncode == 64
    assert "rediss://" in plain.stderr, plain.stderr
    with run_replicas(binary, tmp_path, stubs, url, *PATIENT, "--budget-store-ca", str(files["ca"])) as replicas:
        statuses = replicas.burst(LIMIT + 4, token)
        assert statuses.count(OK) == LIMIT, "both replicas count in the store"


def test_a_url_of_another_kind_than_the_server_is_explained(binary, tmp_path, stack):
    sentinels = Sentinels(tmp_path / "sentinels", stack)
    port = sentinels.primary.port
    [sentinel, name] = sentinels.address.split("/")
    for url, wanted in {
        f"redis://{sentinel}": "it is a Sentinel",
        f"redis-sentinel://{sentinel}/other-{name}": "know no primary of the name",
        f"redis-cluster://127.0.0.1:{port}": "it is no cluster",
        f"rediss://127.0.0.1:{port}": "a server without TLS",
    }.items():
        result = run_check(binary, url)
        assert result.returncode == 64
        assert wanted in result.stderr, result.stderr


def test_a_frozen_node_of_a_cluster_does_not_keep_a_gateway_from_it(binary, tmp_path, stack):
    nodes = cluster(stack, tmp_path / "store")
    url = "redis-cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    replica = start(stack, tmp_path / "another", "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    nodes[0].cli("--cluster", "add-node", f"127.0.0.1:{replica.port}", f"127.0.0.1:{nodes[0].port}", "--cluster-slave")
    wait_for(lambda: "slave" in nodes[0].cli("cluster", "nodes"), "the cluster to know the replica")
    with replica.frozen():
        result = run_check(binary, f"{url},127.0.0.1:{replica.port}", "--budget-store-timeout", "1s")
    assert result.returncode == 0, result.stderr


def run_check(binary, url, *words):
    command = [binary, "serve", "--check", "--sandbox", "--budget-store", url, *words]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30, check=False)
