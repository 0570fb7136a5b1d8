"""Checks a list of components: components.py FILE CRATES VERSION.

It must be valid CycloneDX, describe the program, and have each line of CRATES, a name
and a version.
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

file, crates, version = sys.argv[1:]
text = Path(file).read_text(encoding="utf-8")
bom = json.loads(text)

schema = SchemaVersion.from_version(bom["specVersion"])
if error := JsonStrictValidator(schema).validate_str(text):
    sys.exit(f"{file} is not valid CycloneDX {bom['specVersion']}: {error}")

described = bom["metadata"]["component"]
assert (described["name"], described["version"]) == ("presence-gateway", version), described

listed = {f"{it['name']} {it['version']}" for it in bom["components"]}
if missing := set(Path(crates).read_text(encoding="utf-8").splitlines()) - listed:
    sys.exit(f"{file} lacks {', '.join(sorted(missing))}")

unlicensed = [it["name"] for it in bom["components"] if not it.get("licenses")]
assert not unlicensed, f"without a license: {unlicensed}"
assert not (place := [line for line in text.splitlines() if "/tmp" in line or "/root" in line]), place
