"""The behaviour that users of each operation expect of the vendor, and so of the sandbox.

One scenario for each operation, named after it. `api` is any client of
clients.py; every scenario holds for all of them.
"""

AVAILABLE = "6a3af858-942f-489d-9700-5f9bcdcdae9b"
BUSY = "31fe3bac-dea6-44b7-bed7-47f91660a1a0"
MEAL = "3fd96123-badb-4f69-bc03-1b1ccc6d8014"
ON_QUEUE = "e08eaf1b-ee47-4fa9-a231-1200e284798f"

# The first two seeded users of the sandbox.
USER = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"

TEXT = "Zurück um 12:30 — “später” \U0001f355 日本"

LUNCH = {
    "name": "Lunch",
    "languageLabels": {"en_US": "Lunch", "de": "Mittagessen"},
    "systemPresence": "Meal",
    "divisionId": "*",
}
LEGACY_LUNCH = {
    "name": "Lunch",
    "languageLabels": {"en_US": "Lunch", "de": "Mittagessen"},
    "systemPresence": "Meal",
}
DOOR = {"name": TEXT, "description": "The reader at the door"}


def entities(listing):
    """The entities of a listing; protobuf omits an empty list."""
    return listing.get("entities", [])


def ids(listing):
    """The ids of a listing's entities."""
    return [entity["id"] for entity in entities(listing)]


def holds(answer, expected):
    """Whether `answer` has all values of `expected`; it may have more."""
    if isinstance(expected, dict):
        return isinstance(answer, dict) and all(
            name in answer and holds(answer[name], value) for name, value in expected.items()
        )
    return answer == expected


def post_presence_definitions(api):
    made = api.call("post_presence_definitions", body=LUNCH)
    assert holds(made, LUNCH | {"type": "User", "deactivated": False})
    assert holds(api.call("get_presence_definition", definitionId=made["id"], localeCode="ALL"), LUNCH)


def get_presence_definition(api):
    system = api.call("get_presence_definition", definitionId=AVAILABLE)
    assert holds(system, {"id": AVAILABLE, "type": "System", "systemPresence": "Available"})

    made = api.call("post_presence_definitions", body=LUNCH)
    german = api.call("get_presence_definition", definitionId=made["id"], localeCode="de")
    assert german["languageLabels"] == {"de": "Mittagessen"}


def get_presence_definitions(api):
    everything = api.call("get_presence_definitions")
    assert {AVAILABLE, BUSY, MEAL, ON_QUEUE} <= set(ids(everything))
    assert everything["total"] == len(entities(everything))

    here, there = "division-1", "division-2"
    mine = api.call("post_presence_definitions", body=LUNCH | {"divisionId": here})["id"]
    theirs = api.call("post_presence_definitions", body=LUNCH | {"divisionId": there})["id"]
    of_mine = ids(api.call("get_presence_definitions", divisionId=[here]))
    assert mine in of_mine and theirs not in of_mine
    of_both = ids(api.call("get_presence_definitions", divisionId=[here, there]))
    assert mine in of_both and theirs in of_both


def put_presence_definition(api):
    made = api.call("post_presence_definitions", body=LUNCH)
    changed = {"languageLabels": {"en_US": TEXT}, "systemPresence": "Meal", "divisionId": "*"}
    answer = api.call("put_presence_definition", definitionId=made["id"], body=changed)
    assert holds(answer, changed)
    read = api.call("get_presence_definition", definitionId=made["id"], localeCode="ALL")
    assert read["languageLabels"] == {"en_US": TEXT}


def delete_presence_definition(api):
    made = api.call("post_presence_definitions", body=LUNCH)["id"]
    assert made in ids(api.call("get_presence_definitions"))
    assert api.call("delete_presence_definition", definitionId=made) is None
    assert made not in ids(api.call("get_presence_definitions"))
    assert made in ids(api.call("get_presence_definitions", deactivated="true"))


def post_presencedefinitions(api):
    made = api.call("post_presencedefinitions", body=LEGACY_LUNCH)
    assert holds(made, LEGACY_LUNCH | {"deactivated": False})
    assert made["createdDate"], "the vendor sets the date of creation"
    read = api.call("get_presencedefinition", presenceId=made["id"], localeCode="ALL")
    assert holds(read, LEGACY_LUNCH)


def get_presencedefinition(api):
    system = api.call("get_presencedefinition", presenceId=ON_QUEUE)
    assert holds(system, {"id": ON_QUEUE, "systemPresence": "On Queue"})

    made = api.call("post_presencedefinitions", body=LEGACY_LUNCH)
    german = api.call("get_presencedefinition", presenceId=made["id"], localeCode="de")
    assert german["languageLabels"] == {"de": "Mittagessen"}


def get_presencedefinitions(api):
    first = api.call("get_presencedefinitions", pageNumber=1, pageSize=4)
    second = api.call("get_presencedefinitions", pageNumber=2, pageSize=4)
    assert (first["pageNumber"], first["pageSize"], len(entities(first))) == (1, 4, 4)
    assert (second["pageNumber"], second["total"]) == (2, first["total"])
    assert not set(ids(first)) & set(ids(second))
    assert first["pageCount"] == -(-first["total"] // 4)

    made = api.call("post_presencedefinitions", body=LEGACY_LUNCH)["id"]
    assert made in ids(api.call("get_presencedefinitions", pageSize=100))


def put_presencedefinition(api):
    made = api.call("post_presencedefinitions", body=LEGACY_LUNCH)
    changed = {"languageLabels": {"en_US": TEXT}, "systemPresence": "Meal"}
    answer = api.call("put_presencedefinition", presenceId=made["id"], body=changed)
    assert holds(answer, changed)
    read = api.call("get_presencedefinition", presenceId=made["id"], localeCode="ALL")
    assert read["languageLabels"] == {"en_US": TEXT}


def delete_presencedefinition(api):
    made = api.call("post_presencedefinitions", body=LEGACY_LUNCH)["id"]
    assert api.call("delete_presencedefinition", presenceId=made) is None
    assert made not in ids(api.call("get_presencedefinitions", pageSize=100))
    assert made in ids(api.call("get_presencedefinitions", pageSize=100, deleted="ALL"))
    assert made in ids(api.call("get_presencedefinitions", pageSize=100, deleted="TRUE"))


def post_presence_sources(api):
    made = api.call("post_presence_sources", body=DOOR)
    assert holds(made, DOOR | {"type": "User", "deactivated": False})
    assert holds(api.call("get_presence_source", sourceId=made["id"]), DOOR)


def get_presence_source(api):
    made = api.call("post_presence_sources", body=DOOR)
    read = api.call("get_presence_source", sourceId=made["id"])
    assert holds(read, DOOR | {"id": made["id"]})


def get_presence_sources(api):
    before = api.call("get_presence_sources")
    assert before["total"] == len(entities(before))
    made = api.call("post_presence_sources", body=DOOR)["id"]
    assert ids(api.call("get_presence_sources")).count(made) == 1


def put_presence_source(api):
    made = api.call("post_presence_sources", body=DOOR)["id"]
    changed = {"name": "Gate", "description": ""}
    assert holds(api.call("put_presence_source", sourceId=made, body=changed), changed)
    assert holds(api.call("get_presence_source", sourceId=made), changed)


def delete_presence_source(api):
    made = api.call("post_presence_sources", body=DOOR)["id"]
    assert api.call("delete_presence_source", sourceId=made) is None
    assert made not in ids(api.call("get_presence_sources"))
    assert made in ids(api.call("get_presence_sources", deactivated="true"))


def get_presence_settings(api):
    settings = api.call("get_presence_settings")["restorePresenceSettings"]
    kinds = {name: type(value) for name, value in settings.items()}
    assert kinds == {
        "enabled": bool,
        "restoreTimeMilliseconds": int,
        "restoreOnQueueEnabled": bool,
    }


def put_presence_settings(api):
    changed = {
        "restorePresenceSettings": {
            "enabled": True,
            "restoreTimeMilliseconds": 86_400_000,
            "restoreOnQueueEnabled": False,
        },
        "requestingOffQueueEnabled": True,
    }
    assert holds(api.call("put_presence_settings", body=changed), changed)
    assert holds(api.call("get_presence_settings"), changed)


def get_presence_user_primarysource(api):
    source = api.call("get_presence_user_primarysource", userId=USER)
    assert source["sourceId"]


def put_presence_user_primarysource(api):
    registered = api.call("post_presence_sources", body=DOOR)["id"]
    chosen = {"sourceId": registered}
    assert holds(api.call("put_presence_user_primarysource", userId=USER, body=chosen), chosen)
    assert holds(api.call("get_presence_user_primarysource", userId=USER), chosen)


def get_systempresences(api):
    names = [presence["name"] for presence in api.call("get_systempresences")]
    assert {"AVAILABLE", "AWAY", "BUSY", "MEAL", "OFFLINE", "ON_QUEUE"} <= set(names)


def patch_user_presence(api):
    change = {"presenceDefinition": {"id": BUSY}, "message": TEXT}
    answer = api.call("patch_user_presence", userId=USER, sourceId="PURECLOUD", body=change)
    assert holds(answer, change)
    read = api.call("get_user_presence", userId=USER, sourceId="PURECLOUD")
    assert holds(read, change)


def get_user_presence(api):
    api.call("patch_user_presences_purecloud", userId=USER, body={"message": TEXT})
    read = api.call("get_user_presence", userId=USER, sourceId="PURECLOUD")
    assert read["message"] == TEXT
    assert read["presenceDefinition"]["id"]


def patch_user_presences_purecloud(api):
    status = {"presenceDefinition": {"id": ON_QUEUE}}
    message = {"message": TEXT}
    assert holds(api.call("patch_user_presences_purecloud", userId=USER, body=status), status)
    assert holds(api.call("patch_user_presences_purecloud", userId=USER, body=message), message)
    read = api.call("get_user_presences_purecloud", userId=USER)
    assert holds(read, {"presenceDefinition": {"id": ON_QUEUE, "systemPresence": "On Queue"}})
    assert holds(read, message)

    assert api.call("patch_user_presences_purecloud", userId=USER, body={"message": ""})["message"] == ""
    assert api.call("get_user_presences_purecloud", userId=USER)["message"] == ""


def get_user_presences_purecloud(api):
    api.call("patch_user_presences_purecloud", userId=USER, body={"presenceDefinition": {"id": MEAL}})
    read = api.call("get_user_presences_purecloud", userId=USER)
    assert holds(read, {"presenceDefinition": {"id": MEAL, "systemPresence": "Meal"}})
    assert read["modifiedDate"]


def put_users_presences_bulk(api):
    updates = [
        {"id": USER, "presenceDefinition": {"id": BUSY}, "message": TEXT},
        {"id": OTHER, "presenceDefinition": {"id": MEAL}},
    ]
    answers = api.call("put_users_presences_bulk", body=updates)
    assert [answer["presenceDefinition"]["id"] for answer in answers] == [BUSY, MEAL]
    for update in updates:
        read = api.call("get_user_presences_purecloud", userId=update["id"])
        assert holds(read, {name: update[name] for name in update if name != "id"})


def get_users_presences_purecloud_bulk(api):
    api.call("patch_user_presences_purecloud", userId=OTHER, body={"message": TEXT})
    read = api.call("get_users_presences_purecloud_bulk", id=[USER, OTHER])
    by_user = {presence["userId"]: presence for presence in read}
    assert by_user.keys() == {USER, OTHER}
    assert by_user[OTHER]["message"] == TEXT


def get_users_presence_bulk(api):
    api.call("patch_user_presences_purecloud", userId=USER, body={"message": TEXT})
    read = api.call("get_users_presence_bulk", sourceId="PURECLOUD", id=[OTHER, USER])
    by_user = {presence["userId"]: presence for presence in read}
    assert by_user.keys() == {USER, OTHER}
    assert by_user[USER]["message"] == TEXT
