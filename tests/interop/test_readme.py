"""The commands and the code that README.md prints run as printed, with the output that it shows."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from operations import ROOT
from processes import environment

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:50051"  # the address in README.md
TIMEOUT = 60  # seconds


def blocks(language):
    """The code blocks of README.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def command(start):
    """The only command of README.md with this start, which is one line."""
    (line,) = [line for block in blocks("sh") for line in block.splitlines() if line.startswith(start)]
    return line


@pytest.fixture
def run(sandbox_gateway, buf, binary):
    """Runs commands of README.md against a gateway with a sandbox, and returns their output."""

    def run(commands, at=ROOT):
        path = [buf.parent, Path(sys.executable).parent, os.environ["PATH"]]
        program = shlex.quote(str(binary))
        done = subprocess.run(
            ["bash", "-euc", commands.replace("cargo run --", program).replace(ADDRESS, sandbox_gateway)],
            cwd=at,
            env=environment(PATH=os.pathsep.join(map(str, path))),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, f"it ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


def test_the_call_of_the_quick_start_prints_the_shown_response(run, sandbox_gateway):
    (shown,) = blocks("json")

    assert run(f"{command('cargo run -- call')} --address {sandbox_gateway}") == shown


@pytest.mark.parametrize("tool", ["buf curl", "grpcurl"])
def test_the_line_for_a_command_line_tool_gets_the_same_response(run, tool):
    (shown,) = blocks("json")

    assert json.loads(run(command(tool))) == json.loads(shown)


def test_the_python_code_prints_the_shown_lines(run, sandbox_gateway, tmp_path):
    (code,) = blocks("python")
    (shown,) = blocks("text")
    (commands,) = [block for block in blocks("sh") if "grpc_tools.protoc" in block]
    # requirements.txt has the packages that `pip install` would get.
    _, rest = re.split(r"^pip install .*\n", commands, flags=re.MULTILINE)
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    (tmp_path / "call.py").write_text(code.replace(ADDRESS, sandbox_gateway), encoding="utf-8")

    assert run(rest, at=tmp_path) == shown
