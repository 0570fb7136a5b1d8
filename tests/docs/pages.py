"""The documents of this repository: which they are, and what stands in them."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<indent>\s*)(?P<marks>```+|~~~+)\s*(?P<language>[\w-]*)")
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)


def files():
    """Returns the files that git tracks or would track, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return sorted({path for path in map(Path, listed.rstrip("\0").split("\0")) if (ROOT / path).is_file()})


def pages():
    """Returns the documents, relative to the root."""
    return [path for path in files() if path.suffix == ".md"]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


@dataclass
class Block:
    """A fenced block, and the comments right above it."""

    line: int
    language: str
    text: str
    comments: list[str]
    # Only blank lines are between this block and the one above.
    follows: bool


def blocks(text):
    """Returns the fenced blocks of a page in their order."""
    found, lines, above, number = [], text.split("\n"), [], 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if not fence:
            above.append(lines[number])
            number += 1
            continue
        start, indent = number, len(fence["indent"])
        number += 1
        while lines[number].strip() != fence["marks"]:
            number += 1
        content = "\n".join(line[min(indent, len(line) - len(line.lstrip())) :] for line in lines[start + 1 : number])
        before = "\n".join(above).rstrip()
        comments = []
        while before.endswith("-->"):
            before, _, comment = before.removesuffix("-->").rpartition("<!--")
            comments.insert(0, comment.strip())
            before = before.rstrip()
        found.append(Block(start + 1, fence["language"], content, comments, bool(found) and not before))
        above = []
        number += 1
    return found


def prose(text):
    """Returns a page with its fenced blocks, comments and code spans blanked, line by line."""
    lines, inside = [], None
    for line in text.split("\n"):
        fence = FENCE.match(line)
        if inside:
            inside = None if line.strip() == inside else inside
            lines.append("")
        elif fence:
            inside = fence["marks"]
            lines.append("")
        else:
            lines.append(line)
    blank = lambda match: re.sub(r"[^\n]", " ", match[0])
    without_comments = COMMENT.sub(blank, "\n".join(lines))
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", lambda match: "`" * len(match[0]), without_comments)


def headings(text):
    """Returns the anchors of a page as GitHub names them."""
    found, times = set(), {}
    inside = None
    for line in text.split("\n"):
        fence = FENCE.match(line)
        if inside:
            inside = None if line.strip() == inside else inside
            continue
        if fence:
            inside = fence["marks"]
            continue
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
        heading = re.match(r"^#{1,6}\s+(.+?)\s*#*$", line)
        if not heading:
            continue
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        found.add(slug if slug not in times else f"{slug}-{times[slug]}")
        times[slug] = times.get(slug, 0) + 1
    return found
