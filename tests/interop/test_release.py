"""The artefacts of a release, and the rejection of a contract that breaks callers."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from operations import OPERATIONS, ROOT

TIMEOUT = 120  # seconds
PRESENCE = "proto/genesys/presence/v1/presence.proto"
SERVICE = "proto/genesys/presence/v1/presence_service.proto"


@pytest.fixture
def checkout(tmp_path):
    """A copy of the files of a release, for the test to change."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "proto", root / "proto")
    for name in ("buf.yaml", "Cargo.toml", "LICENSE"):
        shutil.copy(ROOT / name, root)
    return root


@pytest.fixture
def release(buf):
    """Runs `proto/release`."""

    def run(root, *words):
        return subprocess.run(
            [str(root / "proto" / "release"), *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
            env=os.environ | {"BUF": str(buf)},
        )

    return run


def output_of(done):
    """The output of a run, for the message of a failed test."""
    return f"proto/release ended with {done.returncode}:\n{done.stdout}{done.stderr}"


def change(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has `{old}` {text.count(old)} times"
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_no_caller_of_the_last_release_breaks(release):
    done = release(ROOT, "--check")
    assert done.returncode == 0, output_of(done)


@pytest.mark.parametrize("words", [["--baselin"], [], ["out", "more"]])
def test_other_arguments_are_rejected(release, checkout, words):
    done = release(checkout, *words)
    assert done.returncode == 1, output_of(done)
    assert "give the directory to write to, or --check" in done.stderr or "no option --baselin" in done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(PRESENCE, "bool restore_on_queue_enabled = 3;", "bool restore_on_queue_enabled = 30;", id="number"),
        pytest.param(PRESENCE, "bool restore_on_queue_enabled = 3;", "bool restore_on_line = 3;", id="name"),
        pytest.param(PRESENCE, "bool restore_on_queue_enabled = 3;", "int64 restore_on_queue_enabled = 3;", id="type"),
        pytest.param(SERVICE, "rpc GetPresenceSettings(", "rpc ReadPresenceSettings(", id="rpc"),
        pytest.param(SERVICE, "service PresenceService {", "service Presence {", id="service"),
        pytest.param(SERVICE, 'option java_package = "com.', 'option java_package = "org.', id="java_package"),
    ],
)
def test_a_breaking_change_is_rejected(release, checkout, tmp_path, file, old, new):
    change(checkout / file, old, new)
    baseline = (checkout / "proto" / "baseline.binpb").read_bytes()

    done = release(checkout, tmp_path / "out")

    assert done.returncode == 1, output_of(done)
    assert Path(file).name in done.stdout, output_of(done)
    assert not (tmp_path / "out").exists()
    assert (checkout / "proto" / "baseline.binpb").read_bytes() == baseline


def test_a_released_element_cannot_be_removed(release, checkout):
    service = checkout / SERVICE
    before = service.read_text(encoding="utf-8")
    change(service, "service PresenceService {", "service Newer {}\n\nservice PresenceService {")
    done = release(checkout, "--baseline")
    assert done.returncode == 0, output_of(done)

    service.write_text(before, encoding="utf-8")
    done = release(checkout, "--check")

    assert done.returncode == 1 and "Newer" in done.stdout, output_of(done)


def test_the_artefacts_are_complete(release, checkout, buf, tmp_path):
    out = tmp_path / "out"
    done = release(checkout, out)
    assert done.returncode == 0, output_of(done)
    descriptors, protos, config = sorted(out.iterdir(), key=lambda path: path.suffix)

    files = FileDescriptorSet.FromString(descriptors.read_bytes()).file
    rpcs = {
        f"{file.package}.{service.name}/{method.name}": method
        for file in files for service in file.service for method in service.method
    }
    for operation in OPERATIONS.values():
        rpc = rpcs[f"{operation.service}/{operation.rpc}"]
        # The extension google.api.http.
        assert b"/api/v2/" in rpc.options.SerializeToString()
    assert any(place.leading_comments for file in files for place in file.source_code_info.location)

    assert config.read_bytes() == (checkout / "proto" / "service-config.json").read_bytes()

    with tarfile.open(protos) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    compiled = subprocess.run([buf, "build"], cwd=unpacked, capture_output=True, encoding="utf-8", timeout=TIMEOUT)
    assert compiled.returncode == 0, compiled.stderr
    _compile(unpacked / "proto", tmp_path / "stubs")


def _compile(protos, out):
    """Runs protoc on every proto of the archive."""
    from grpc_tools import protoc

    out.mkdir()
    well_known = Path(protoc.__file__).parent / "_proto"
    words = ["protoc", f"-I{protos}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
    assert protoc.main(words + [str(path) for path in sorted(protos.rglob("*.proto"))]) == 0
    assert (out / "genesys/presence/v1/presence_service_pb2_grpc.py").exists()


def test_the_artefacts_are_reproducible(release, checkout, tmp_path):
    baseline = (checkout / "proto" / "baseline.binpb").read_bytes()
    for name in ("first", "second"):
        done = release(checkout, tmp_path / name)
        assert done.returncode == 0, output_of(done)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    assert (checkout / "proto" / "baseline.binpb").read_bytes() == baseline
