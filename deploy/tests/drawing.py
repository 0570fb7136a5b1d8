"""Draws the dashboard with matplotlib as Grafana lays it out: its grid, its kinds of panels, their legends and axes."""

import math
from datetime import UTC, datetime

import grafana
from matplotlib.ticker import MaxNLocator
from picture import COLORS, FAINT, GRID, HEADER, MEDIUM, NAMED, WIDTH, Picture

# Pixels, of Grafana's grid of 24 columns.
MARGIN, GAP, CELL_HEIGHT = 16, 8, 30
HEAD, FOOT = 64, 40
LINE = 21  # of a legend or a table


def draw(dashboard, ask, start, end, interval, caption, path):
    """Draws all panels from the answers of `ask` (`Monitored`) for a time; returns each panel's number of series."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    picture = Picture(HEAD + rows * (CELL_HEIGHT + GAP) + FOOT)
    _head(picture, dashboard, start, end)
    column = (WIDTH - 2 * MARGIN + GAP) / 24
    series = {}
    for panel in dashboard["panels"]:
        cell = panel["gridPos"]
        place = (
            MARGIN + cell["x"] * column,
            HEAD + cell["y"] * (CELL_HEIGHT + GAP),
            cell["w"] * column - GAP,
            cell["h"] * (CELL_HEIGHT + GAP) - GAP,
        )
        if panel["type"] not in KINDS:
            raise NotImplementedError(f"{panel['title']}: a panel of the type {panel['type']} is not drawn")
        drawn = KINDS[panel["type"]](picture, Query(dashboard, ask, start, end, interval, place[2]), panel, place)
        if panel["type"] != "row":
            series[panel["title"]] = drawn
    picture.text(MARGIN, picture.height - 16, caption, color=FAINT)
    picture.save(path, {"Dashboard": grafana.fingerprint(dashboard), "Description": caption})
    return series


def _head(picture, dashboard, start, end):
    picture.text(MARGIN, 39, dashboard["title"], size=20, font=MEDIUM)
    x = MARGIN + picture.width(dashboard["title"], 20, MEDIUM) + 32
    for variable in dashboard["templating"]["list"]:
        chosen = "All" if variable.get("includeAll") else variable["query"].capitalize()
        label = variable.get("label", variable["name"])
        words = chosen if label == chosen else f"{label}: {chosen}"
        width = picture.width(words) + 24
        picture.box(x, 18, width, 30)
        picture.text(x + 12, 38, words)
        x += width + GAP
    clock = "%Y-%m-%d %H:%M"
    words = f"{datetime.fromtimestamp(start, UTC):{clock}} to {datetime.fromtimestamp(end, UTC):%H:%M} UTC"
    picture.text(WIDTH - MARGIN, 38, words, color=FAINT, align="right")


class Query:
    """The queries of a panel, as Grafana sends them for its width."""

    def __init__(self, dashboard, ask, start, end, interval, width):
        self._dashboard, self._ask = dashboard, ask
        # A point for each pixel, but not more often than a scrape.
        self.step = max(interval, math.ceil((end - start) / width))
        self.start, self.end = (math.floor(moment / self.step) * self.step for moment in (start, end))
        self._rate_interval = f"{max(self.step + interval, 4 * interval)}s"

    def range(self, target):
        """Label sets, each with a value for each moment: NaN where there is none."""
        query = grafana.expression(self._dashboard, target, self._rate_interval)
        for series in self._ask.query_range(query, self.start, self.end, self.step):
            values = {round(float(moment)): float(value) for moment, value in series["values"]}
            # A ratio is infinite where nothing was counted below the line.
            values = {moment: value for moment, value in values.items() if math.isfinite(value)}
            yield series["metric"], [values.get(moment, math.nan) for moment in self.moments()]

    def instant(self, target):
        query = grafana.expression(self._dashboard, target, self._rate_interval)
        return [(series["metric"], series["value"]) for series in self._ask.query(query, self.end)]

    def moments(self):
        return range(self.start, self.end + 1, self.step)


def _row(picture, _query, panel, place):
    x, y, _, height = place
    picture.text(x + 4, y + height - 8, panel["title"], size=16, font=MEDIUM)


def _title(picture, panel, place):
    picture.box(*place)
    picture.text(place[0] + 10, place[1] + 22, panel["title"], size=14, font=MEDIUM)


def _table(picture, query, panel, place):
    _title(picture, panel, place)
    x, y, width, height = place
    (target,) = panel["targets"]
    headers, rows = grafana.table(panel, query.instant(target))
    for column, name in enumerate(headers):
        at = x + 10 + column * (width - 20) / len(headers)
        picture.text(at, y + 54, name, color=HEADER, font=MEDIUM)
        for line, row in enumerate(rows):
            picture.text(at, y + 54 + (line + 1) * 30, row[column])
    for line in range(len(rows)):
        picture.bar(x + 10, y + 64 + line * 30, width - 20, 1, GRID)
    assert 64 + len(rows) * 30 < height, f"{panel['title']}: {len(rows)} rows are too many"
    return len(rows)


def _timeseries(picture, query, panel, place):
    _title(picture, panel, place)
    lines = []
    for target in panel["targets"]:
        for labels, values in query.range(target):
            if any(not math.isnan(value) for value in values):
                name = grafana.renamed(panel, grafana.name(target, labels))
                settings = grafana.field(panel, name)
                color = NAMED[settings["color"]["fixedColor"]] if "color" in settings else COLORS[len(lines) % len(COLORS)]
                lines.append((name, values, settings, color))
    if not lines:
        picture.text(place[0] + place[2] / 2, place[1] + place[3] / 2, "No data", color=FAINT, align="center")
        return 0
    _plot(picture, query, lines, _legend(picture, panel, place, lines))
    return len(lines)


CALCULATIONS = {
    "lastNotNull": ("Last *", lambda values: values[-1]),
    "max": ("Max", max),
    "min": ("Min", min),
    "mean": ("Mean", lambda values: sum(values) / len(values)),
}


def _legend(picture, panel, place, lines):
    """Writes the legend, a table; returns the place that is left for the plot."""
    x, y, width, height = place[0] + 6, place[1] + 36, place[2] - 12, place[3] - 42
    legend = panel["options"]["legend"]
    assert legend["displayMode"] == "table", f"{panel['title']}: the legend {legend['displayMode']} is not drawn"
    columns = []
    for name in legend["calcs"]:
        header, calculate = CALCULATIONS[name]
        numbers = [calculate([value for value in values if not math.isnan(value)]) for _, values, _, _ in lines]
        cells = [grafana.value(number, settings["unit"]) for number, (_, _, settings, _) in zip(numbers, lines, strict=True)]
        columns.append((header, cells, max(picture.width(words, 12) for words in (header, *cells)) + 14))
    numbers_width = sum(column[2] for column in columns)
    names_width = 22 + max(picture.width(name, 12) for name, *_ in lines)
    match legend["placement"]:
        case "right":
            table_width = min(names_width + numbers_width, width * 0.6)
            left, top, room = x + width - table_width - 4, y, height
            rest = (x, y, width - table_width - 20, height)
        case "bottom":
            table_width = width - 8
            room = min(LINE * (len(lines) + 1), height * 0.5)
            left, top = x + 4, y + height - room
            rest = (x, y, width, height - room - 6)
        case other:
            raise NotImplementedError(f"{panel['title']}: a legend at the {other} is not drawn")
    shown = min(len(lines), int(room // LINE) - 1)
    right = left + table_width
    picture.text(left, top + 14, "Name", size=12, color=HEADER, font=MEDIUM)
    for line, (name, _, _, color) in enumerate(lines[:shown]):
        base = top + 14 + (line + 1) * LINE
        picture.bar(left, base - 6, 14, 4, color)
        picture.text(left + 20, base, picture.shorten(name, table_width - numbers_width - 22, 12), size=12)
    for header, cells, cell_width in reversed(columns):
        picture.text(right, top + 14, header, size=12, color=HEADER, font=MEDIUM, align="right")
        for line, words in enumerate(cells[:shown]):
            picture.text(right, top + 14 + (line + 1) * LINE, words, size=12, align="right")
        right -= cell_width
    return rest


def _plot(picture, query, lines, place):
    """Draws the lines, with an axis on each side that one of them has."""
    x, y, width, height = place
    sides = {"left": [], "right": []}
    for line in lines:
        sides[line[2].get("custom.axisPlacement", "left")].append(line)
    scales = {side: _scale(group) for side, group in sides.items() if group}
    room = {side: max(picture.width(words, 12) for words in scale[1]) + 10 for side, scale in scales.items()}
    x, width = x + room.get("left", 8), width - room.get("left", 8) - room.get("right", 8)
    height -= 22
    moments = list(query.moments())
    for side, (ticks, words, top) in scales.items():
        axes = picture.axes(x, y, width, height)
        axes.set_xlim(moments[0], moments[-1])
        axes.set_ylim(0, top)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        for tick, label in zip(ticks, words, strict=True):
            at = y + height * (1 - tick / top)
            if side == "left" or "left" not in scales:
                axes.axhline(tick, color=GRID, linewidth=0.72, zorder=0)
            picture.text(
                x - 8 if side == "left" else x + width + 8, at + 4, label, 12, FAINT, align="right" if side == "left" else "left"
            )
        for _, values, settings, color in sides[side]:
            dash = settings.get("custom.lineStyle", {}).get("dash")
            style = (0, [part * 0.72 for part in dash]) if dash else "solid"
            axes.plot(moments, values, color=color, linewidth=settings.get("custom.lineWidth", 1) * 1.1, linestyle=style)
            axes.fill_between(moments, values, color=color, alpha=settings.get("custom.fillOpacity", 0) / 100, linewidth=0)
            # A value between gaps is no line.
            alone = [
                (moment, value)
                for place_, (moment, value) in enumerate(zip(moments, values, strict=True))
                if not math.isnan(value) and all(math.isnan(near) for near in _beside(values, place_))
            ]
            axes.plot(*zip(*alone, strict=True), "o", color=color, markersize=2.5) if alone else None
        _clock(picture, axes, moments, (x, y, width, height), side == next(iter(scales)))


def _beside(values, place):
    return values[max(place - 1, 0) : place] + values[place + 1 : place + 2]


def _scale(lines):
    """Ticks, their texts and the end of an axis from 0."""
    settings = lines[0][2]
    assert settings.get("min") == 0, "an axis that does not begin at 0 is not drawn"
    highest = max(value for _, values, _, _ in lines for value in values if not math.isnan(value))
    top = settings.get("max", highest * 1.05 or 1)
    ticks = [tick for tick in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top) if 0 <= tick <= top * 1.001]
    return ticks, [grafana.value(tick, settings["unit"]) for tick in ticks], top


def _clock(picture, axes, moments, place, first):
    """The times below a plot, at whole minutes."""
    if not first:
        return
    x, y, width, height = place
    span = moments[-1] - moments[0]
    every = next(step for step in (5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200) if span / step <= max(width / 70, 1))
    begin = math.ceil(moments[0] / every) * every
    for moment in range(begin, moments[-1] + 1, every):
        axes.axvline(moment, color=GRID, linewidth=0.72, zorder=0)
        at = x + width * (moment - moments[0]) / span
        clock = "%H:%M:%S" if every < 60 else "%H:%M"
        picture.text(at, y + height + 18, f"{datetime.fromtimestamp(moment, UTC):{clock}}", 12, FAINT, align="center")


KINDS = {"row": _row, "table": _table, "timeseries": _timeseries}
