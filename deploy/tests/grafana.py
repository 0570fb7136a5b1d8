"""The dashboard as Grafana shows it: its queries, the names of its series, their units."""

import hashlib
import json
import re

import manifests

DASHBOARD = manifests.DEPLOY / "components/monitoring/dashboard.json"


def load():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def panels(dashboard):
    """The panels without the rows between them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expression(dashboard, target, rate_interval):
    """The query of a target, with all options of each variable selected."""
    query = target["expr"].replace("$__rate_interval", rate_interval)
    for variable in dashboard["templating"]["list"]:
        if variable.get("includeAll"):
            query = query.replace(f"${variable['name']}", variable["allValue"])
    assert "$" not in query, f"{query} has a variable that nothing replaces"
    return query


def fingerprint(dashboard):
    """Changes with all that a picture of the dashboard shows."""
    shown = [{name: value for name, value in panel.items() if name != "description"} for panel in dashboard["panels"]]
    return hashlib.sha256(json.dumps([dashboard["title"], shown], sort_keys=True).encode()).hexdigest()


def name(target, labels):
    """The name of a series in the legend."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"]) or "Value"


def renamed(panel, series):
    """The name of a series after the panel's transformations."""
    for transformation in panel.get("transformations", ()):
        assert transformation["id"] == "renameByRegex", f"{panel['title']}: {transformation['id']} is not drawn"
        options = transformation["options"]
        # Grafana anchors a pattern without slashes around it.
        series = re.sub(f"^{options['regex']}$", options["renamePattern"].replace("$", "\\"), series)
    return series


def table(panel, result):
    """The header and the rows of an instant query, after the panel's transformations."""
    rows = [{"Time": moment, **labels, "Value": number} for labels, (moment, number) in result]
    names = list(rows[0]) if rows else []
    headers = {name: name for name in names}
    for transformation in panel.get("transformations", ()):
        assert transformation["id"] == "organize", f"{panel['title']}: {transformation['id']} is not drawn"
        options = transformation["options"]
        names = [name for name in names if not options["excludeByName"].get(name)]
        names.sort(key=lambda name: options["indexByName"].get(name, len(names)))
        headers |= options["renameByName"]
    return [headers[name] for name in names], [[row[name] for name in names] for row in rows]


def field(panel, series):
    """The settings of a series: its unit, its axis."""
    settings = {"unit": "short", **panel["fieldConfig"]["defaults"]}
    settings |= {f"custom.{key}": value for key, value in settings.pop("custom", {}).items()}
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["id"] == "byName", f"{panel['title']}: {override['matcher']} is not drawn"
        if override["matcher"]["options"] == series:
            settings |= {each["id"]: each["value"] for each in override["properties"]}
    return settings


def value(number, unit):
    """A number with its unit, of three digits."""
    match unit:
        case "short":
            return _scaled(number, 1000, ("", " K", " Mil", " Bil"))
        case "reqps":
            return f"{_scaled(number, 1000, ('', ' K', ' Mil', ' Bil'))} req/s"
        case "bytes":
            return _scaled(number, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))
        case "percentunit":
            return f"{_digits(number * 100)}%"
        case "s":
            if number == 0:
                return "0 s"
            if abs(number) < 0.9995:
                return _scaled(number * 1e6, 1000, (" µs", " ms"))
            return _scaled(number, 60, (" s", " min", " hours"))
        case other:
            raise NotImplementedError(f"the unit {other} is not drawn")


def _scaled(number, base, names):
    place = 0
    while abs(number) >= base * 0.9995 and place < len(names) - 1:
        number /= base
        place += 1
    return f"{_digits(number)}{names[place]}"


def _digits(number):
    """Three digits, without zeros at the end."""
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.3g}" if abs(number) >= 0.001 else "0"
