"""Three clients of the presence API with one interface.

Each takes the vendor's name of an operation and its arguments in the vendor's
spelling (`definitionId="…"`, `id=[…]`, `body={…}`), and returns the vendor's
JSON: the model, the bare array, or None for a void operation. The clients are
the official Python SDK, the official JavaScript SDK, and the gateway through
generated Python stubs.
"""

import importlib
import json
import queue
import subprocess
import threading
import uuid
import warnings
from datetime import timezone
from importlib import metadata

import grpc
from google.protobuf import json_format

from operations import MODELS, OPERATIONS, element_of, snake_case

ANSWERED_WITHIN = 20  # seconds


class Refused(Exception):
    """The server returned an error."""


def new_token():
    """A unique bearer token, so that tests share no rate limit."""
    return f"token-{uuid.uuid4()}"


class PythonSdk:
    """PureCloudPlatformClientV2, unchanged."""

    name = "python-sdk"

    def __init__(self, host, token):
        self._sdk = importlib.import_module("PureCloudPlatformClientV2")
        client = self._sdk.ApiClient(host=host)
        client.access_token = token
        self._client = client

    def call(self, operation, **arguments):
        """Calls the SDK's method with its models and dates, as its users do."""
        types = {parameter.name: parameter.type for parameter in OPERATIONS[operation].parameters}
        native = {
            snake_case(name): self._native(types[name], value) for name, value in arguments.items()
        }
        try:
            # The SDK always warns about its deprecated methods, which the tests call on purpose.
            with warnings.catch_warnings(record=True):
                answer = getattr(self._api(operation), operation)(**native)
        except self._sdk.rest.ApiException as error:
            raise Refused(f"{operation}: {error.status} {error.body}") from error
        return self._client.sanitize_for_serialization(answer)

    def _api(self, operation):
        """The SDK class that has an operation: PresenceApi, or else the first one."""
        names = [name for name in dir(self._sdk) if name.endswith("Api")]
        apis = [self._sdk.PresenceApi, *(getattr(self._sdk, name) for name in names)]
        for api in apis:
            if hasattr(api, operation):
                return api(self._client)
        version = metadata.version("PureCloudPlatformClientV2")
        raise LookupError(
            f"PureCloudPlatformClientV2 {version} has no {operation}: raise its version in requirements.txt"
        )

    def _native(self, type_, value):
        if element := element_of(type_):
            return [self._native(element, each) for each in value]
        if type_ == "datetime":
            return self._date(value)
        if not hasattr(self._sdk, type_):
            return value
        model = getattr(self._sdk, type_)()
        attributes = {name: attribute for attribute, name in model.attribute_map.items()}
        for name, each in value.items():
            attribute = attributes[name]
            setattr(model, attribute, self._native(model.swagger_types[attribute], each))
        return model

    @staticmethod
    def _date(text):
        from dateutil.parser import isoparse

        return isoparse(text).astimezone(timezone.utc)


class JavaScriptProcess:
    """Node with the SDK loaded; it serves one call at a time."""

    def __init__(self, script, env):
        self._process = subprocess.Popen(
            ["node", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            encoding="utf-8",
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def ask(self, question):
        """Sends one request and returns its response, both as JSON."""
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._lines.get(timeout=ANSWERED_WITHIN)
        if line is None:
            raise RuntimeError("node exited; see its standard error")
        return json.loads(line)

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(ANSWERED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class JavaScriptSdk:
    """purecloud-platform-client-v2, unchanged."""

    name = "javascript-sdk"

    def __init__(self, process, host, token):
        self._process = process
        self._host = host
        self._token = token

    def call(self, operation, **arguments):
        """Calls the SDK's method: required arguments by position, optional ones in `opts`."""
        described = OPERATIONS[operation]
        types = {parameter.name: parameter.type for parameter in described.parameters}
        arguments = {name: marked(types[name], value) for name, value in arguments.items()}
        optional = [parameter.name for parameter in described.parameters_in("query")]
        answer = self._process.ask(
            {
                "host": self._host,
                "token": self._token,
                "method": described.javascript,
                "positional": [
                    arguments[parameter.name]
                    for parameter in described.parameters
                    if parameter.place != "query"
                ],
                "options": {name: arguments[name] for name in optional if name in arguments},
            }
        )
        if "lacking" in answer:
            raise LookupError(
                f"purecloud-platform-client-v2 {answer['lacking']} has no {described.javascript}: "
                "raise its version in package.json"
            )
        if "error" in answer:
            raise Refused(f"{operation}: {answer['error']}")
        return answer["result"]


def marked(type_, value):
    """The same with each date as `{"$date": …}`, for sdk.mjs to make a Date of it."""
    if element := element_of(type_):
        return [marked(element, each) for each in value]
    if type_ in ("datetime", "date-time"):
        return {"$date": value}
    if type_ in MODELS:
        return {name: marked(MODELS[type_][name].type, each) for name, each in value.items()}
    return value


class GatewayClient:
    """The gateway, through stubs that protoc generated from its protos."""

    name = "gateway"

    def __init__(self, stubs, channel, token):
        self._stubs = stubs
        self._channel = channel
        self._metadata = [("authorization", f"Bearer {token}")]

    def call(self, operation, **arguments):
        """Calls the RPC; the vendor's names are the JSON names of its request's fields."""
        described = OPERATIONS[operation]
        request = json_format.ParseDict(arguments, self._stubs.request(described))
        try:
            answer = self._stubs.method(self._channel, described)(
                request, metadata=self._metadata, timeout=ANSWERED_WITHIN
            )
        except grpc.RpcError as error:
            raise Refused(f"{operation}: {error.code().name} {error.details()}") from error
        if described.returns is None:
            return None
        if described.returns.startswith("list["):
            return [vendor_json(each) for each in getattr(answer, _list_field(answer))]
        return vendor_json(answer)


def _list_field(answer):
    """The field of a response that holds the vendor's bare array."""
    names = [name for name in answer.DESCRIPTOR.fields_by_name if name.endswith("presences")]
    assert len(names) == 1, f"{answer.DESCRIPTOR.full_name} has no single field of presences"
    return names[0]


def vendor_json(message):
    """A message as the vendor's JSON: the protobuf JSON form with 64-bit integers as numbers."""
    fields = json_format.MessageToDict(message)
    return _numbers(message.DESCRIPTOR, fields)


def _numbers(descriptor, fields):
    for field in descriptor.fields:
        if field.json_name not in fields:
            continue
        value = fields[field.json_name]
        if field.cpp_type == field.CPPTYPE_INT64:
            fields[field.json_name] = [int(v) for v in value] if isinstance(value, list) else int(value)
        elif field.message_type and not field.message_type.GetOptions().map_entry:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    _numbers(field.message_type, each)
    return fields


class Stubs:
    """The generated modules, with lookups by the vendor's names."""

    def __init__(self):
        self.presence = importlib.import_module("genesys.presence.v1.presence_service_pb2")
        self.presence_grpc = importlib.import_module("genesys.presence.v1.presence_service_pb2_grpc")
        self.legacy = importlib.import_module("genesys.presence.v1.legacy_presence_service_pb2")
        self.legacy_grpc = importlib.import_module(
            "genesys.presence.v1.legacy_presence_service_pb2_grpc"
        )
        self.options = importlib.import_module("genesys.presence.v1.options_pb2")
        self.models = importlib.import_module("genesys.presence.v1.presence_pb2")
        self.bulk = importlib.import_module("genesys.presence.v1.bulk_pb2")

    def request(self, operation):
        """An empty request of this operation."""
        legacy = operation.service.endswith("LegacyPresenceService")
        return getattr(self.legacy if legacy else self.presence, f"{operation.rpc}Request")()

    def method(self, channel, operation):
        """The callable of this operation on a channel."""
        if operation.service.endswith("LegacyPresenceService"):
            return getattr(self.legacy_grpc.LegacyPresenceServiceStub(channel), operation.rpc)
        return getattr(self.presence_grpc.PresenceServiceStub(channel), operation.rpc)
