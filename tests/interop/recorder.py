"""A stub server that records decoded requests and returns minimal valid responses."""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from operations import operation_of

CORRELATION_ID = "8d83b3b2-6a4e-4c0f-9a55-2f6f1f0e7c11"


@dataclass(frozen=True)
class Request:
    """One request, decoded."""

    method: str
    segments: list[str]
    query: list[tuple[str, str]]
    body: object
    headers: list[tuple[str, str]]

    def header(self, name):
        """The values of one header; its name is case-insensitive."""
        return [value for key, value in self.headers if key == name.lower()]


class Recorder:
    """The requests of all clients; `authorization` identifies the client."""

    def __init__(self, address):
        self.address = address
        self._requests = []
        self._lock = threading.Lock()

    def keep(self, request):
        with self._lock:
            self._requests.append(request)

    def requests_with(self, authorization):
        """The requests with this `authorization`, in order."""
        with self._lock:
            return [r for r in self._requests if r.header("authorization") == [authorization]]

    def request_with(self, authorization):
        """The only request with this `authorization`."""
        found = self.requests_with(authorization)
        assert len(found) == 1, f"expected one request to the vendor, there were {len(found)}: {found}"
        return found[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for headers and body

    def _answer(self):
        url = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.recorder.keep(
            Request(
                method=self.command,
                segments=[unquote(segment, errors="strict") for segment in url.path.split("/")],
                query=parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query), errors="strict"),
                body=json.loads(sent) if sent else None,
                headers=[(name.lower(), value) for name, value in self.headers.items()],
            )
        )
        status, body = _minimal_response(self.command, url.path)
        self.send_response(status)
        self.send_header("ININ-Correlation-Id", CORRELATION_ID)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = _answer

    def log_message(self, *_):
        """Prints nothing: the requests are recorded."""


def _minimal_response(method, path):
    operation = operation_of(method, path)
    if operation is None:
        return 404, b'{"message":"no operation of the vendor\'s","code":"not.found","status":404}'
    if operation.returns is None:
        return 204, b""
    return 200, b"[]" if operation.returns.startswith("list[") else b"{}"


@contextmanager
def recording():
    """A recorder that listens until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.recorder = Recorder(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
