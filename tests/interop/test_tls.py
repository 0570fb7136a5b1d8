"""TLS with scanners and clients in other languages."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from calls import REFLECTION
from certificates import CLIENT, Authority, rsa_key
from peer import PREFACE
from processes import environment, free_port
from watched import ANSWERED_WITHIN, READ, secret_token, monitored_gateway

LOCAL = ("localhost", "127.0.0.1")
SCANNED_WITHIN = 60  # seconds
TAKEN_UP_WITHIN = 30  # seconds

SERVING = health_pb2.HealthCheckResponse.SERVING


class Files:
    """The paths of the files that a gateway reads."""

    def __init__(self, folder):
        self.cert, self.key, self.client_ca = folder / "cert.pem", folder / "key.pem", folder / "clients.pem"

    def write(self, issued):
        """Writes a certificate and its key. Between the two writes, they do not match."""
        for path, pem in zip((self.cert, self.key), issued):
            path.write_bytes(pem)

    @property
    def flags(self):
        return "--tls-cert", self.cert, "--tls-key", self.key


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture
def files(tmp_path, authority):
    """A certificate for the loopback interface, and its key."""
    files = Files(tmp_path)
    files.write(authority.issue(*LOCAL))
    return files


@pytest.fixture
def secure(binary, files, authority, tmp_path):
    """A monitored gateway with that certificate."""
    credentials = grpc.ssl_channel_credentials(authority.pem)
    with monitored_gateway(binary, tmp_path / "secure.log", *files.flags, credentials=credentials) as gateway:
        yield gateway


def read(address, credentials, *, name=None):
    """Makes one call over a new connection."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    with grpc.secure_channel(address, credentials, options) as channel:
        metadata = [("authorization", f"Bearer {secret_token()}")]
        return channel.unary_unary(READ)(b"", metadata=metadata, timeout=ANSWERED_WITHIN)


def refused(address, credentials, **named):
    with pytest.raises(grpc.RpcError) as caught:
        read(address, credentials, **named)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE, caught.value.details()


def client_context(authority):
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(["h2"])
    return context


def shown(address, context):
    """The certificate that the gateway sends on a new connection."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=ANSWERED_WITHIN) as connection:
        with context.wrap_socket(connection, server_hostname="localhost") as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True)).encode()


@pytest.mark.parametrize("key", [None, rsa_key()], ids=["ecdsa", "rsa"])
def test_a_scan_finds_mozillas_intermediate_configuration(secure, files, authority, tmp_path, key):
    if key:
        files.write(authority.issue(*LOCAL, key=key))
        expected = files.cert.read_bytes()
        await_certificate(secure.address, client_context(authority), expected)
    ca, report = tmp_path / "ca.pem", tmp_path / "report.json"
    ca.write_bytes(authority.pem)
    target = secure.address.replace("127.0.0.1", "localhost")
    command = [
        Path(sys.executable).with_name("sslyze"), "--mozilla_config=intermediate", f"--certinfo_ca_file={ca}",
        f"--json_out={report}", target,
    ]
    scan = subprocess.run(command, capture_output=True, text=True, timeout=SCANNED_WITHIN, env=environment())

    assert scan.returncode == 0, scan.stdout[-1000:] + scan.stderr[-1000:]
    assert "OK - Compliant" in scan.stdout
    [scanned] = json.loads(report.read_text())["server_scan_results"]
    scans = scanned["scan_result"].items()
    results = {name: scan["result"] for name, scan in scans if scan["status"] == "COMPLETED"}
    spoken = {
        name.removesuffix("_cipher_suites"): len(result["accepted_cipher_suites"])
        for name, result in results.items()
        if name.endswith("_cipher_suites")
    }
    assert {version for version, suites in spoken.items() if suites} == {"tls_1_2", "tls_1_3"}
    assert set(spoken) == {"ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"}
    assert not results["tls_compression"]["supports_compression"]
    assert not results["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert not results["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not results["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert results["robot"]["robot_result"].startswith("NOT_VULNERABLE")


def test_a_resumed_session_may_not_send_early_data(secure, authority, tmp_path):
    """An attacker can replay recorded early data, and with it a write."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("the scanner asks HTTP servers alone for this; openssl, which asks any, is not installed")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    command = [openssl, "s_client", "-connect", secure.address, "-tls1_3", "-alpn", "h2", "-CAfile", ca, "-ign_eof"]
    # The gateway closes the connection at the invalid half; then openssl prints the session.
    client = subprocess.run(command, input=PREFACE + b"x" * 100, capture_output=True, timeout=SCANNED_WITHIN)

    output = client.stdout.decode(errors="replace")
    assert set(re.findall(r"Max Early Data: (\d+)", output)) == {"0"}, output


def await_certificate(address, context, expected):
    """Waits until new connections get this certificate."""
    deadline = time.monotonic() + TAKEN_UP_WITHIN
    while shown(address, context) != expected:
        assert time.monotonic() < deadline, "the certificate is not loaded"
        time.sleep(0.05)


def test_only_a_client_that_trusts_the_authority_connects(secure, authority):
    trusting = grpc.ssl_channel_credentials(authority.pem)
    assert read(secure.address, trusting)

    refused(secure.address, grpc.ssl_channel_credentials(Authority().pem))
    refused(secure.address, trusting, name="elsewhere.example")


def test_mutual_tls_accepts_only_a_valid_client_certificate(
    start_gateway, files, authority, tmp_path
):
    clients = Authority("clients")
    files.client_ca.write_bytes(clients.pem)

    def showing(cert, key):
        return grpc.ssl_channel_credentials(authority.pem, key, cert)

    flags = ("--sandbox", *files.flags, "--tls-client-ca", files.client_ca)
    with start_gateway(tmp_path / "mtls.log", *flags) as address:
        assert read(address, showing(*clients.issue("a client", purpose=CLIENT)))
        for kind, credentials in {
            "none": grpc.ssl_channel_credentials(authority.pem),
            "of another authority": showing(*Authority("clients").issue("a client", purpose=CLIENT)),
            "of the server's authority": showing(*authority.issue("a client", purpose=CLIENT)),
            "expired": showing(*clients.issue("a client", purpose=CLIENT, days=-1)),
            "for servers": showing(*clients.issue("a client")),
        }.items():
            print(f"a certificate: {kind}")
            refused(address, credentials)
        assert read(address, showing(*clients.issue("another client", purpose=CLIENT)))


def test_a_replaced_certificate_is_used_for_new_connections_and_drops_no_call(secure, files, authority):
    context = client_context(authority)
    for _ in range(2):
        before = shown(secure.address, context)
        files.write(authority.issue(*LOCAL))
        expected = files.cert.read_bytes()
        assert expected != before
        await_certificate(secure.address, context, expected)
        # Background calls run all the time, over the old connection and over new ones.
        secure.others.wait_until_served()

    files.key.unlink()
    shutil.rmtree(files.cert, ignore_errors=True)
    files.cert.write_bytes(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    deadline = time.monotonic() + TAKEN_UP_WITHIN
    while '"level":"WARN"' not in secure.log():
        assert time.monotonic() < deadline, "unusable files are not logged"
        time.sleep(0.05)
    assert shown(secure.address, context) == expected
    secure.others.wait_until_served()


def test_the_probe_port_serves_only_health_without_tls(
    start_gateway, files, authority, dial, tmp_path
):
    probes = f"127.0.0.1:{free_port()}"
    flags = ("--sandbox", *files.flags, "--health-listen", probes)
    trusting = grpc.ssl_channel_credentials(authority.pem)
    with start_gateway(tmp_path / "probes.log", *flags) as address:
        with dial(probes) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            for service in ("", "liveness", "readiness", "genesys.presence.v1.PresenceService"):
                request = health_pb2.HealthCheckRequest(service=service)
                assert health.Check(request, timeout=ANSWERED_WITHIN).status == SERVING
                watch = health.Watch(request, timeout=ANSWERED_WITHIN)
                assert next(watch).status == SERVING
                watch.cancel()
            metadata = [("authorization", f"Bearer {secret_token()}")]
            for call in (
                lambda: channel.unary_unary(READ)(b"", metadata=metadata, timeout=ANSWERED_WITHIN),
                lambda: list(channel.stream_stream(REFLECTION)(iter([b""]), timeout=ANSWERED_WITHIN)),
            ):
                with pytest.raises(grpc.RpcError) as caught:
                    call()
                assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        # Each port serves only its own protocol.
        refused(probes, trusting)
        with dial(address) as channel, pytest.raises(grpc.RpcError) as caught:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=ANSWERED_WITHIN)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert read(address, trusting)


def test_probes_succeed_although_others_fill_their_port(
    start_gateway, files, dial, tmp_path
):
    probes = f"127.0.0.1:{free_port()}"
    flags = ("--sandbox", *files.flags, "--health-listen", probes)
    host, port = probes.rsplit(":", 1)
    with start_gateway(tmp_path / "probes.log", *flags):
        held = []
        for _ in range(300):
            connection = socket.create_connection((host, int(port)), timeout=ANSWERED_WITHIN)
            connection.sendall(PREFACE + b"\0\0\0\4\0\0\0\0\0")
            held.append(connection)
        for _ in range(5):
            with dial(probes) as channel:
                health = health_pb2_grpc.HealthStub(channel)
                assert health.Check(health_pb2.HealthCheckRequest(), timeout=ANSWERED_WITHIN).status == SERVING
        for connection in held:
            connection.close()


def hello(context):
    """A ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def record(content):
    """A handshake record."""
    return b"\x16\x03\x01" + len(content).to_bytes(2, "big") + content


def test_stalled_handshakes_block_no_other(secure, authority):
    first = hello(client_context(authority))
    endless = b"\x01\x00\xff\xff\x03\x03" + b"x" * 8000
    host, port = secure.address.rsplit(":", 1)
    held = []
    for data in (
        b"",
        first[:3],
        first[:-1],
        # A ClientHello of 64 KB with one byte in each record, and one that lacks its end.
        b"".join(record(bytes([byte])) for byte in endless[:300]),
        b"".join(record(endless[at : at + 4000]) for at in range(0, len(endless), 4000)),
        # A complete ClientHello, and then nothing.
        first,
    ):
        for _ in range(120):
            connection = socket.create_connection((host, int(port)), timeout=ANSWERED_WITHIN)
            held.append(connection)
            try:
                connection.sendall(data)
            except OSError:
                pass
        before = time.monotonic()
        secure.others.wait_until_served()
        assert time.monotonic() - before < 8, "stalled handshakes delayed other callers"
    for connection in held:
        connection.close()


def test_a_connection_without_tls_is_closed(secure):
    host, port = secure.address.rsplit(":", 1)
    for data in (
        PREFACE,
        b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n",
        b"\x80\x2e\x01\x00\x02" + b"x" * 43,  # SSL 2
        record(b"\x02\x00\x00\x02ab"),  # a ServerHello
        b"\x15\x03\x03\x00\x02\x01\x00" * 100,  # warnings
        b"\x17\x03\x03\x40\x00" + b"x" * 0x4000,  # data before any key
        b"\x16\x03\x01\xff\xff" + b"x" * 0xFFFF,  # a record that is too long
    ):
        with socket.create_connection((host, int(port)), timeout=ANSWERED_WITHIN) as connection:
            try:
                connection.sendall(data)
                while connection.recv(4096):
                    pass
            except TimeoutError:
                pytest.fail(f"the connection stays open after {data[:20]!r}")
            except OSError:
                pass
