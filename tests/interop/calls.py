"""Encodes calls of the gateway as bytes: valid by default, with the changes that a test asks for."""

import base64

from google.rpc import error_details_pb2, status_pb2

from peer import head, literal
from watched import READ, secret_token

SERVICE = "/genesys.presence.v1.PresenceService"
BULK_READ = f"{SERVICE}/GetUsersPresencesPurecloudBulk"
HEALTH = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


def headers(path=READ, *more, without=(), token=None):
    """The headers of a call; those in `more` replace defaults of the same name."""
    right = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "gateway",
        "te": "trailers",
        "content-type": "application/grpc",
        "authorization": f"Bearer {token or secret_token()}",
    }
    replaced = {name for name, _ in more}
    kept = [(name, value) for name, value in right.items() if name not in replaced and name not in without]
    # The pseudo-headers come first.
    return sorted([*kept, *more], key=lambda header: not header[0].startswith(":"))


def opening(stream, *arguments, **named):
    """The HEADERS frame of a call whose message follows."""
    return head(stream, literal(headers(*arguments, **named)))


def message(fields=b"", *, length=None, compressed=0):
    """A message after its prefix; `length` and `compressed` may be wrong."""
    length = len(fields) if length is None else length
    return bytes([compressed]) + length.to_bytes(4, "big") + fields


def status(answer):
    """The numeric code of a response, and the reason of its error if it has details."""
    code = int(answer.headers["grpc-status"])
    details = answer.headers.get("grpc-status-details-bin")
    if not details:
        return code, None
    parsed = status_pb2.Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
    info = error_details_pb2.ErrorInfo()
    reasons = [info.reason for each in parsed.details if each.Unpack(info)]
    assert len(reasons) == 1, f"an error has one reason: {parsed}"
    return code, reasons[0]
