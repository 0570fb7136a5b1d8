"""Parses docs/proxies.md: the configurations that it recommends, and its tables.

The tests run the configurations of the page; there is no other copy.
"""

import re

from operations import ROOT

PAGE = ROOT / "docs" / "proxies.md"

# The addresses in the page, which the tests replace.
LISTENS = re.compile(r"\b8080\b")
GATEWAY = re.compile(r"\b50051\b")


def configuration(heading, changes=None):
    """The configuration under a heading, with changes.

    `changes` maps a text to its replacement; None removes the line.
    """
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n.*?^```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert found, f"{PAGE} has no configuration under the heading {heading!r}"
    text = found[1]
    for old, new in (changes or {}).items():
        assert old in text, f"the configuration of {heading} has no {old!r}"
        if new is None:
            text = "".join(line for line in text.splitlines(keepends=True) if old not in line)
        else:
            text = text.replace(old, new)
    return text


def with_ports(text, listen, gateway):
    """A configuration with its ports replaced."""
    for pattern, port in ((LISTENS, listen), (GATEWAY, gateway)):
        text, replaced = pattern.subn(str(port), text)
        assert replaced == 1, f"the configuration has {pattern.pattern} {replaced} times:\n{text}"
    return text


def table(first_cell):
    """The table with this first cell: its rows by their first cells, each a dictionary by column."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = next((at for at, line in enumerate(lines) if line.startswith(f"| {first_cell} |")), None)
    assert begin is not None, f"{PAGE} has no table that begins with {first_cell!r}"
    columns = _cells(lines[begin])[1:]
    rows = {}
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = _cells(line)
        assert len(cells) == len(columns), f"the row {name!r} has {len(cells)} cells for {len(columns)} columns"
        rows[name] = dict(zip(columns, cells))
    return rows


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
