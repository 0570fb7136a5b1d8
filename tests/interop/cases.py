"""Arguments for every operation, in the vendor's names, whose requests are compared.

An operation without a case here gets two that are derived from the fixture.

There is no case for values that protobuf cannot represent: an empty list, an
empty map or a null is the same as a missing one. The gateway omits such an
argument, where an SDK sends `id=`, `{}` or `null`.
"""

from operations import MODELS, OPERATIONS, element_of

USER = "d5b7f0a4-3f1c-4c8e-9a55-0b6f1c2d3e4f"
OTHER = "0e2a9f6b-7c1d-4e5f-8a9b-1c2d3e4f5a6b"
SOURCE = "8f9c1f7e-52a6-4a44-9f0b-6f1d0b7a9c3e"
DEFINITION = "6a3af858-942f-489d-9700-5f9bcdcdae9b"

# An id that a URL must escape. The gateway's own tests cover a slash: the
# Python SDK sends it unescaped, which is another path.
AWKWARD = "Zoë+1 @100%?&#;=:é"

TEXT = "Zurück um 12:30 — “später” \U0001f355 \\ \" / \n\t\u2028 <&> 日本"
DATE = "2026-11-23T10:15:30.123Z"
WHOLE_SECOND = "1999-12-31T23:59:59.000Z"

PRESENCE = {
    "id": "presence-1",
    "name": "",
    "source": "PURECLOUD",
    "sourceId": SOURCE,
    "primary": False,
    "presenceDefinition": {
        "id": DEFINITION,
        "systemPresence": "On Queue",
        "selfUri": f"/api/v2/presencedefinitions/{DEFINITION}",
    },
    "futurePresenceDefinition": {},
    "message": TEXT,
    "modifiedDate": DATE,
    "selfUri": f"/api/v2/users/{USER}/presences",
}

DEFINITION_BODY = {
    "id": DEFINITION,
    "name": "",
    "type": "User",
    "languageLabels": {"en_US": "Lunch", "de": TEXT, "": "", "zh_CN": "午餐"},
    "systemPresence": "OnQueue",
    "divisionId": "*",
    "deactivated": False,
    "selfUri": f"/api/v2/presence/definitions/{DEFINITION}",
}

SOURCE_BODY = {
    "id": SOURCE,
    "name": TEXT,
    "description": "",
    "type": "System",
    "deactivated": False,
    "selfUri": f"/api/v2/presence/sources/{SOURCE}",
}

ORGANIZATION_PRESENCE = {
    "id": DEFINITION,
    "name": TEXT,
    "languageLabels": {"en_US": "Lunch", "he": "ארוחת צהריים"},
    "systemPresence": "On Queue",
    "deactivated": True,
    "primary": False,
    "createdBy": {"id": USER, "name": "Zoë", "email": "", "selfUri": f"/api/v2/users/{USER}"},
    "createdDate": WHOLE_SECOND,
    "modifiedBy": {"id": OTHER},
    "modifiedDate": DATE,
    "selfUri": "",
}

SETTINGS = {
    "id": "",
    "name": TEXT,
    "restorePresenceSettings": {
        "enabled": False,
        "restoreTimeMilliseconds": 0,
        "restoreOnQueueEnabled": True,
    },
    "requestingOffQueueEnabled": False,
    "defaultPrimaryPresenceRegisteredSourceId": "",
    "selfUri": "/api/v2/presence/settings",
}

LARGE_NUMBER = {
    "restorePresenceSettings": {
        "enabled": True,
        "restoreTimeMilliseconds": 2**53 - 1,
        "restoreOnQueueEnabled": False,
    }
}

PRIMARY_SOURCE = {
    "id": USER,
    "name": "",
    "sourceId": SOURCE,
    "registered": False,
    "selfUri": f"/api/v2/presence/users/{USER}/primarysource",
}

UPDATES = [
    PRESENCE | {"id": USER},
    {"id": OTHER, "presenceDefinition": {"id": DEFINITION}, "message": ""},
    {"id": AWKWARD, "primary": False, "modifiedDate": WHOLE_SECOND},
]

FIFTY = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(50)]

# Operation, then the name of the case, then the arguments.
CASES = {
    "delete_presence_definition": {
        "an id": {"definitionId": DEFINITION},
        "an id to escape": {"definitionId": AWKWARD},
    },
    "delete_presence_source": {
        "an id": {"sourceId": SOURCE},
        "an id to escape": {"sourceId": AWKWARD},
    },
    "delete_presencedefinition": {
        "an id": {"presenceId": DEFINITION},
        "an id to escape": {"presenceId": AWKWARD},
    },
    "get_presence_definition": {
        "an id": {"definitionId": DEFINITION},
        "a locale": {"definitionId": AWKWARD, "localeCode": "pt_BR"},
    },
    "get_presence_definitions": {
        "nothing": {},
        "everything": {
            "deactivated": "TRUE",
            "divisionId": ["*", SOURCE, AWKWARD],
            "localeCode": "ALL",
        },
        "one division": {"divisionId": ["*"]},
        "text to escape": {"deactivated": AWKWARD},
        "empty text": {"deactivated": "", "localeCode": ""},
    },
    "get_presence_settings": {"nothing": {}},
    "get_presence_source": {
        "an id": {"sourceId": SOURCE},
        "an id to escape": {"sourceId": AWKWARD},
    },
    "get_presence_sources": {
        "nothing": {},
        "a filter": {"deactivated": "ALL"},
    },
    "get_presence_user_primarysource": {
        "an id": {"userId": USER},
        "an id to escape": {"userId": AWKWARD},
    },
    "get_presencedefinition": {
        "an id": {"presenceId": DEFINITION},
        "a locale": {"presenceId": AWKWARD, "localeCode": "zh_TW"},
    },
    "get_presencedefinitions": {
        "nothing": {},
        "everything": {
            "pageNumber": 2,
            "pageSize": 100,
            "deleted": "ALL",
            "localeCode": "en_US",
        },
        "zeros": {"pageNumber": 0, "pageSize": 0},
    },
    "get_systempresences": {"nothing": {}},
    "get_user_presence": {
        "two ids": {"userId": USER, "sourceId": SOURCE},
        "ids to escape": {"userId": AWKWARD, "sourceId": "Büro 1"},
    },
    "get_user_presences_purecloud": {
        "an id": {"userId": USER},
        "an id to escape": {"userId": AWKWARD},
    },
    "get_users_presence_bulk": {
        "no ids": {"sourceId": SOURCE},
        "three ids": {"sourceId": AWKWARD, "id": [USER, OTHER, AWKWARD]},
    },
    "get_users_presences_purecloud_bulk": {
        "no ids": {},
        "one id": {"id": [USER]},
        "fifty ids": {"id": FIFTY},
    },
    "patch_user_presence": {
        "everything": {"userId": USER, "sourceId": SOURCE, "body": PRESENCE},
        "an empty message": {"userId": AWKWARD, "sourceId": "x y", "body": {"message": ""}},
    },
    "patch_user_presences_purecloud": {
        "everything": {"userId": USER, "body": PRESENCE},
        "a status": {"userId": USER, "body": {"presenceDefinition": {"id": DEFINITION}}},
        "a flag": {"userId": USER, "body": {"primary": True}},
        "an empty body": {"userId": USER, "body": {}},
    },
    "post_presence_definitions": {
        "everything": {"body": DEFINITION_BODY},
        "what is needed": {
            "body": {"languageLabels": {"en_US": "Lunch"}, "systemPresence": "Meal"},
        },
    },
    "post_presence_sources": {
        "everything": {"body": SOURCE_BODY},
        "what is needed": {"body": {"name": "Door"}},
    },
    "post_presencedefinitions": {
        "everything": {"body": ORGANIZATION_PRESENCE},
        "what is needed": {"body": {"languageLabels": {"en_US": "Lunch"}}},
    },
    "put_presence_definition": {
        "everything": {"definitionId": DEFINITION, "body": DEFINITION_BODY},
        "a flag": {
            "definitionId": AWKWARD,
            "body": {"languageLabels": {"de": "Mittag"}, "deactivated": True},
        },
    },
    "put_presence_settings": {
        "everything": {"body": SETTINGS},
        "the largest number that JSON holds exactly": {"body": LARGE_NUMBER},
    },
    "put_presence_source": {
        "everything": {"sourceId": SOURCE, "body": SOURCE_BODY},
        "an empty name": {"sourceId": AWKWARD, "body": {"name": ""}},
    },
    "put_presence_user_primarysource": {
        "everything": {"userId": USER, "body": PRIMARY_SOURCE},
        "a source": {"userId": AWKWARD, "body": {"sourceId": "PURECLOUD"}},
    },
    "put_presencedefinition": {
        "everything": {"presenceId": DEFINITION, "body": ORGANIZATION_PRESENCE},
        "a flag": {
            "presenceId": AWKWARD,
            "body": {"languageLabels": {"de": "Mittag"}, "deactivated": False},
        },
    },
    "put_users_presences_bulk": {
        "three updates": {"body": UPDATES},
        "no updates": {"body": []},
    },
}

# A value of each type of the fixture but models.
VALUES = {
    "str": AWKWARD,
    "int": 2,
    "bool": False,
    "datetime": DATE,
    "list[str]": [USER, AWKWARD],
    "string": TEXT,
    "integer": 2**53 - 1,
    "boolean": False,
    "date-time": DATE,
    "list[string]": [TEXT, ""],
    "map<string,string>": {"en_US": TEXT, "": ""},
    # The proto has only a part of its fields, in UserRef.
    "User": {"id": USER, "name": TEXT},
}


def value_of(type_, outer=()):
    """A value of a type of the fixture: of a model all fields, except those that hold the model itself."""
    if type_ in VALUES:
        return VALUES[type_]
    if element := element_of(type_):
        return [value_of(element, outer)]
    within = (*outer, type_)
    return {
        name: field.values[0] if field.values else value_of(field.type, within)
        for name, field in MODELS[type_].items()
        if (element_of(field.type) or field.type) not in within
    }


def derived(operation):
    """Two cases for an operation without one above: only required arguments, and all."""
    every = {parameter.name: value_of(parameter.type) for parameter in operation.parameters}
    required = {parameter.name: USER for parameter in operation.parameters_in("path")}
    for parameter in operation.parameters_in("body"):
        required[parameter.name] = [] if element_of(parameter.type) else {}
    return {"what is required": required, "everything": every}


for _name, _operation in OPERATIONS.items():
    CASES.setdefault(_name, derived(_operation))
