"""The vendor's operations, parsed from the fixture, and their names in each language."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "presence-api.json"

# The five methods to which the JavaScript SDK adds a 0, because their names
# would otherwise differ from deprecated ones by one capital.
JAVASCRIPT = {
    "delete_presence_definition": "deletePresenceDefinition0",
    "get_presence_definition": "getPresenceDefinition0",
    "get_presence_definitions": "getPresenceDefinitions0",
    "post_presence_definitions": "postPresenceDefinitions0",
    "put_presence_definition": "putPresenceDefinition0",
}

# The five deprecated operations, which the gateway names after their resource.
LEGACY = {
    "delete_presencedefinition": "DeleteOrganizationPresence",
    "get_presencedefinition": "GetOrganizationPresence",
    "get_presencedefinitions": "GetOrganizationPresences",
    "post_presencedefinitions": "PostOrganizationPresences",
    "put_presencedefinition": "PutOrganizationPresence",
}


# The types of a parameter by its place, besides models and lists of them in a body.
PARAMETER_TYPES = {
    "path": {"str"},
    "query": {"str", "int", "bool", "datetime", "list[str]"},
    "body": set(),
}

# The types of a model's field, besides models and lists of them.
FIELD_TYPES = {"string", "integer", "boolean", "date-time", "list[string]", "map<string,string>"}


@dataclass(frozen=True)
class Parameter:
    """One argument of an operation, under the vendor's name."""

    name: str
    place: str
    type: str


@dataclass(frozen=True)
class Field:
    """One field of a model; `values` are the only ones it may have, if there are any."""

    type: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """One operation of the vendor's API."""

    name: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    returns: str | None

    def parameters_in(self, place):
        """The parameters in `place`: path, query or body."""
        return [parameter for parameter in self.parameters if parameter.place == place]

    @property
    def javascript(self):
        """The name of the JavaScript SDK's method."""
        return JAVASCRIPT.get(self.name) or re.sub(
            "_([a-z])", lambda match: match[1].upper(), self.name
        )

    @property
    def rpc(self):
        """The name of the gateway's RPC."""
        return LEGACY.get(self.name) or "".join(
            word.capitalize() for word in self.name.split("_")
        )

    @property
    def service(self):
        """The full name of the gateway's service."""
        kind = "LegacyPresenceService" if self.name in LEGACY else "PresenceService"
        return f"genesys.presence.v1.{kind}"

    def answers(self, method, path):
        """The number of literal segments that `path` matches; None if it does not match this operation."""
        mine, given = self.path.split("/"), path.split("/")
        if method != self.method or len(mine) != len(given):
            return None
        literals = [(a, b) for a, b in zip(mine, given) if not a.startswith("{")]
        return len(literals) if all(a == b for a, b in literals) else None


def element_of(type_):
    """The type of a list's elements; None if the type is no list."""
    listed = re.fullmatch(r"list\[(.*)\]", type_)
    return listed and listed[1]


def _check_types(described):
    """Rejects a type that CONTRIBUTING.md does not list, as tests/gateway/support/vendor_api.rs does."""
    # Of `User` the proto has a part, as `UserRef`.
    models = {"User", *described["models"]}

    def is_model(type_):
        return (element_of(type_) or type_) in models

    for each in described["operations"]:
        owner = each["operation"]
        for parameter in each["parameters"]:
            name, place, type_ = parameter["name"], parameter["in"], parameter["type"]
            if place not in PARAMETER_TYPES:
                raise ValueError(f"{owner}: `{name}` is in `{place}`, not in path, query or body")
            if type_ not in PARAMETER_TYPES[place] and not (place == "body" and is_model(type_)):
                known = ", ".join(sorted(PARAMETER_TYPES[place])) or "a model or a list of one"
                raise ValueError(f"{owner}: `{name}` has the type `{type_}`; in the {place} it must be: {known}")
        if each["returns"] is not None and not is_model(each["returns"]):
            raise ValueError(
                f"{owner}: returns the type `{each['returns']}`; it must be null, a model or a list of one"
            )
    for model, fields in described["models"].items():
        for name, field in fields.items():
            if field["type"] not in FIELD_TYPES and not is_model(field["type"]):
                known = ", ".join(sorted(FIELD_TYPES))
                raise ValueError(
                    f"{model}: `{name}` has the type `{field['type']}`; it must be: {known}, a model or a list of one"
                )


def _read():
    described = json.loads(FIXTURE.read_text(encoding="utf-8"))
    _check_types(described)
    operations = (
        Operation(
            name=each["operation"],
            method=each["method"],
            path=each["path"],
            parameters=tuple(
                Parameter(p["name"], p["in"], p["type"]) for p in each["parameters"]
            ),
            returns=each["returns"],
        )
        for each in described["operations"]
    )
    models = {
        model: {name: Field(field["type"], tuple(field.get("values", ()))) for name, field in fields.items()}
        for model, fields in described["models"].items()
    }
    return {operation.name: operation for operation in operations}, models


# The operations by name, and of each model its fields by name.
OPERATIONS, MODELS = _read()


def operation_of(method, path):
    """The operation of a request: of those that match, the one with the most literal segments."""
    found = [(each.answers(method, path), each) for each in OPERATIONS.values()]
    fitting = [(score, each) for score, each in found if score is not None]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def snake_case(name):
    """Converts `divisionId` to `division_id`."""
    return re.sub("[A-Z]", lambda match: "_" + match[0].lower(), name)
