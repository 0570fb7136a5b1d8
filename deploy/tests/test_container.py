"""The image in the sandbox overlay: its content, its rights and its exit. See ../check-image."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import grpc
import manifests
import processes
import pytest
import yaml
from manifests import named, pod, the

WITHIN = 30  # seconds
KEPT = {"ConfigMap", "Deployment"}  # the kinds that `podman kube play` supports
PROGRAM = "/usr/local/bin/presence-gateway"


def podman(*words, check=True):
    done = subprocess.run(["podman", *map(str, words)], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"podman {' '.join(map(str, words))}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def image():
    return os.environ["PRESENCE_GATEWAY_IMAGE"]


class Played:
    """The container of the overlay's pod, and its published ports."""

    def __init__(self, file, ports):
        self.ports = ports
        podman("kube", "play", file)
        self.name = "presence-gateway-pod-0-presence-gateway"
        deadline = time.monotonic() + WITHIN
        while True:
            try:
                if processes.health(ports["health"], "readiness") == "SERVING":
                    break
            except grpc.RpcError as error:
                assert time.monotonic() < deadline, f"{error}\n{podman('logs', self.name)}"
            time.sleep(0.05)

    def inspect(self):
        return json.loads(podman("inspect", self.name))[0]

    def proc(self):
        return Path("/proc", str(self.inspect()["State"]["Pid"]))

    def status(self):
        return dict(line.split(":\t", 1) for line in (self.proc() / "status").read_text().splitlines() if ":\t" in line)


@pytest.fixture(scope="module")
def played(image, tmp_path_factory):
    """Plays the sandbox overlay with this image on ports of the loopback interface."""
    resources = [resource for resource in manifests.render("sandbox") if resource["kind"] in KEPT]
    inside = pod(resources)["spec"]["containers"][0] | {"image": image}
    free = processes.free_ports(len(inside["ports"]))
    inside["ports"] = [port | {"hostPort": host, "hostIP": "127.0.0.1"} for port, host in zip(inside["ports"], free, strict=True)]
    deployment = json.loads(json.dumps(the(resources, "Deployment")))
    # An exited container stays, so that the test can inspect it.
    deployment["spec"]["template"]["spec"] |= {"containers": [inside], "restartPolicy": "Never"}
    file = tmp_path_factory.mktemp("play") / "sandbox.yaml"
    others = [resource for resource in resources if named(resource) != named(deployment)]
    file.write_text(yaml.safe_dump_all([*others, deployment]), encoding="utf-8")
    try:
        yield Played(file, {port["name"]: port["hostPort"] for port in inside["ports"]})
    finally:
        podman("kube", "down", file, check=False)


@pytest.fixture(scope="module")
def contents(image, tmp_path_factory):
    """The paths of all files in the image, with types and modes."""
    directory = tmp_path_factory.mktemp("image")
    container = podman("create", image).strip()
    try:
        podman("export", "--output", directory / "image.tar", container)
    finally:
        podman("rm", container)
    listed = subprocess.run(
        ["tar", "--list", "--verbose", "--numeric-owner", "--file", directory / "image.tar"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [(line.split()[0], line.split(maxsplit=5)[5].split(" -> ")[0]) for line in listed.stdout.splitlines()]


def test_the_image_is_small_and_labelled(image):
    about = json.loads(podman("image", "inspect", image))[0]
    print(f"\nthe image has {about['Size'] / 1e6:.1f} MB")
    assert about["Size"] < 60e6
    assert about["Config"]["User"] == "65532:65532"
    assert about["Config"]["Entrypoint"] == [PROGRAM]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in about["Config"]["Labels"].items()}
    assert labels["title"] == "presence-gateway" and labels["licenses"] == "Apache-2.0"
    assert labels["version"] and labels["revision"] not in ("", "unknown")


def test_the_image_has_the_authorities_and_one_program(contents):
    assert any(name.endswith("etc/ssl/certs/ca-certificates.crt") for _, name in contents)
    shells = {"sh", "bash", "dash", "busybox", "apt", "dpkg", "perl", "python3"}
    assert not [name for _, name in contents if name.rsplit("/", 1)[-1] in shells and "/bin/" in f"/{name}"]
    programs = [name for mode, name in contents if mode.startswith("-") and "bin/" in name and "x" in mode]
    assert programs == [PROGRAM.removeprefix("/")]


def test_no_file_in_the_image_is_setuid_or_world_writable(contents):
    assert not [name for mode, name in contents if mode[0] == "-" and "s" in mode[1:].lower()], "setuid or setgid"
    assert not [name for mode, name in contents if mode[0] == "-" and mode[8] == "w"]


def test_the_program_names_no_path_of_its_build(contents, image, tmp_path):
    container = podman("create", image).strip()
    try:
        podman("cp", f"{container}:{PROGRAM}", tmp_path / "program")
    finally:
        podman("rm", container)
    program = (tmp_path / "program").read_bytes()
    for path in (b"/build/src", b"/usr/local/cargo/registry", b"/root/"):
        assert path not in program, path


def test_the_program_finds_the_certificate_authorities(image):
    # Without certificate authorities, the program cannot create its TLS client and exits.
    container = podman("run", "--detach", "--network", "none", "--read-only", image, "serve", "--region", "us-east-1").strip()
    try:
        deadline = time.monotonic() + WITHIN
        while '"message":"serving"' not in (log := _logs(container)):
            assert json.loads(podman("inspect", container))[0]["State"]["Running"], log
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
    finally:
        podman("rm", "--force", "--time", "2", container)


def _logs(container):
    done = subprocess.run(["podman", "logs", container], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_the_process_has_no_rights(played):
    status = played.status()
    assert status["Uid"].split() == ["65532"] * 4 and status["Gid"].split() == ["65532"] * 4
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, capabilities
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_the_root_cannot_be_written(played):
    mounts = [line.split() for line in (played.proc() / "mountinfo").read_text().splitlines()]
    (root,) = [mount for mount in mounts if mount[4] == "/"]
    assert "ro" in root[5].split(",")


def test_memory_is_limited(played):
    wanted = pod(manifests.render("sandbox"))["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert wanted == "1Gi" and played.inspect()["HostConfig"]["Memory"] == 1 << 30


def test_a_call_through_the_published_port_succeeds(played, gateway):
    done = subprocess.run(
        [gateway, "call", "GetUserPresencesPurecloud", '{"userId": "00000000-0000-4000-8000-000000000001"}']
        + ["--token", "any", "--address", f"127.0.0.1:{played.ports['grpc']}"],
        env=processes.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["presenceDefinition"]["systemPresence"] == "Available", done.stderr


def test_the_probes_of_the_manifest_succeed(played):
    inside = manifests.container(manifests.render("sandbox"))
    for probe in ("readinessProbe", "livenessProbe"):
        assert inside[probe]["grpc"]["port"] == 50052
        assert processes.health(played.ports["health"], inside[probe]["grpc"]["service"]) == "SERVING"


# This test is the last, because it stops the container.
def test_the_container_exits_cleanly_within_its_grace_period(played):
    grace = pod(manifests.render("sandbox"))["spec"]["terminationGracePeriodSeconds"]
    start = time.monotonic()
    os.kill(played.inspect()["State"]["Pid"], signal.SIGTERM)
    # The lame-duck pause, in which callers are still served.
    while processes.health(played.ports["health"], "readiness") == "SERVING":
        assert time.monotonic() - start < 5
    assert processes.health(played.ports["grpc"], "liveness") == "SERVING"
    while played.inspect()["State"]["Running"]:
        assert time.monotonic() - start < grace, f"it still runs {grace} s after SIGTERM"
        time.sleep(0.1)
    print(f"\nit ended {time.monotonic() - start:.1f} s after SIGTERM")
    assert played.inspect()["State"]["ExitCode"] == 0
