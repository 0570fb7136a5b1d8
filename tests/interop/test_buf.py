"""The protos stand up to buf's lint, format and breaking-change checks, and buf can call what they describe."""

import json
import shutil
import subprocess

import pytest

from operations import OPERATIONS, ROOT

TIMEOUT = 120  # seconds


@pytest.fixture
def run_buf(buf):
    """Runs buf, by default at the project's root."""

    def run(*words, at=ROOT):
        return subprocess.run(
            [str(buf), *map(str, words)],
            cwd=at,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )

    return run


@pytest.fixture
def curl(run_buf, sandbox_gateway):
    """Runs `buf curl` against a gateway; what it knows of the services, it learns by reflection."""

    def run(*words, path=""):
        plain = ["--protocol", "grpc", "--http2-prior-knowledge"]
        return run_buf("curl", *plain, *words, f"http://{sandbox_gateway}{path}")

    return run


def said(done):
    """What a run of buf printed, for the message of a failed test."""
    return f"buf ended with {done.returncode}:\n{done.stdout}{done.stderr}"


def test_lint_finds_nothing(run_buf):
    done = run_buf("lint")
    assert done.returncode == 0, said(done)


def test_the_files_are_formatted(run_buf):
    done = run_buf("format", "--diff", "--exit-code")
    assert done.returncode == 0, said(done)


def test_the_protos_compile(run_buf, tmp_path):
    done = run_buf("build", "--output", tmp_path / "image.binpb")
    assert done.returncode == 0, said(done)


def test_no_caller_of_the_last_release_breaks(run_buf):
    """Before the first release, the files are compared with themselves."""
    tags = subprocess.run(
        ["git", "tag", "--list", "v*", "--sort=-version:refname"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    ).stdout.split()
    done = run_buf("breaking", "--against", f".git#tag={tags[0]}" if tags else ".")
    assert done.returncode == 0, said(done)


def test_a_field_that_changed_its_number_would_be_noticed(run_buf, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(ROOT / "proto", changed / "proto")
    shutil.copy(ROOT / "buf.yaml", changed)
    file = changed / "proto/genesys/presence/v1/presence.proto"
    text = file.read_text(encoding="utf-8")
    assert "optional string message = 8;" in text
    file.write_text(text.replace("optional string message = 8;", "optional string message = 80;"), encoding="utf-8")

    done = run_buf("breaking", "--against", ROOT, at=changed)

    assert done.returncode == 100, said(done)
    assert "presence.proto" in done.stdout


def test_curl_lists_every_method(curl):
    done = curl("--list-methods")

    assert done.returncode == 0, said(done)
    listed = {line for line in done.stdout.split() if line.startswith("genesys.presence.v1.")}
    assert listed == {f"{operation.service}/{operation.rpc}" for operation in OPERATIONS.values()}


def test_curl_makes_a_call_and_prints_json(curl, token):
    done = curl(
        "--header", f"authorization: Bearer {token}", "--data", "{}",
        path="/genesys.presence.v1.PresenceService/GetSystempresences",
    )

    assert done.returncode == 0, said(done)
    assert "ON_QUEUE" in {each["name"] for each in json.loads(done.stdout)["systemPresences"]}


def test_curl_prints_the_details_of_an_error(curl):
    done = curl("--data", "{}", path="/genesys.presence.v1.PresenceService/GetSystempresences")

    assert done.returncode != 0, said(done)
    assert "unauthenticated" in done.stderr
    assert "google.rpc.ErrorInfo" in done.stderr
