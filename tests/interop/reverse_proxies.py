"""The proxies of docs/proxies.md, each with the configuration of the page."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from processes import environment, free_port, running
from proxy import envoy_program
from proxy_page import configuration, with_ports

# Debian's packages, unpacked by fetch-proxies.
DEBIAN = Path(__file__).resolve().parent / ".proxies"
LIBRARIES = os.pathsep.join(str(path) for path in sorted((DEBIAN / "usr" / "lib").glob("*-linux-gnu*")))

NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{text}
}}
"""

APACHE = """
ServerRoot {directory}
ServerName localhost
PidFile {directory}/apache.pid
Mutex file:{directory} default
ErrorLog {directory}/error.log
{modules}
{text}
"""
APACHE_MODULES = ("mpm_event", "authz_core", "http2", "proxy", "proxy_http2")


class ReverseProxy:
    """One proxy: its heading in the page, and how to start it."""

    def __init__(self, heading, version, command, wrap="{text}", file="configuration"):
        self.heading = heading
        self._version = version
        self._command = command
        self._wrap = wrap
        self._file = file

    @contextmanager
    def in_front_of(self, gateway, directory, changes=None):
        """Runs this proxy in front of a gateway, with changes to its configuration; gives its address."""
        port = free_port()
        text = with_ports(configuration(self.heading, changes), port, gateway.rsplit(":", 1)[1])
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / self._file
        modules = "\n".join(f"LoadModule {name}_module {_apache_module(name)}" for name in APACHE_MODULES)
        file.write_text(self._wrap.format(text=text, directory=directory, modules=modules), encoding="utf-8")
        with running(self._command(file), port, directory / "log", _environment()):
            yield f"127.0.0.1:{port}"

    def printed_version(self):
        """The version that the program prints."""
        words = [str(word) for word in self._version]
        done = subprocess.run(words, capture_output=True, text=True, env=_environment(), check=True, timeout=20)
        found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
        assert found, f"{words} prints no version: {done.stdout}{done.stderr}"
        return found[0]


def _environment():
    return environment(LD_LIBRARY_PATH=LIBRARIES)


def _debian(path):
    return DEBIAN / "usr" / path


def _apache_module(name):
    return _debian(f"lib/apache2/modules/mod_{name}.so")


def _caddy(program):
    return lambda file: [program, "run", "--config", file, "--adapter", "caddyfile"]


NEW_CADDY = Path(sys.executable).parent / "caddy"

PROXIES = {
    proxy.heading: proxy
    for proxy in (
        ReverseProxy(
            "Envoy",
            [envoy_program(), "--version"],
            lambda file: [envoy_program(), "--config-path", file, "--disable-hot-restart", "--concurrency", "1"],
            file="envoy.yaml",
        ),
        ReverseProxy(
            "nginx",
            [_debian("sbin/nginx"), "-v"],
            lambda file: [_debian("sbin/nginx"), "-p", file.parent, "-c", file],
            NGINX,
        ),
        ReverseProxy(
            "HAProxy",
            [_debian("sbin/haproxy"), "-v"],
            lambda file: [_debian("sbin/haproxy"), "-db", "-f", file],
        ),
        ReverseProxy("Caddy 2.6", [_debian("bin/caddy"), "version"], _caddy(_debian("bin/caddy"))),
        ReverseProxy("Caddy 2.11", [NEW_CADDY, "version"], _caddy(NEW_CADDY)),
        ReverseProxy(
            "Apache",
            [_debian("sbin/apache2"), "-v"],
            lambda file: [_debian("sbin/apache2"), "-X", "-f", file],
            APACHE,
        ),
        ReverseProxy(
            "nghttpx",
            [_debian("sbin/nghttpx"), "--version"],
            lambda file: [_debian("sbin/nghttpx"), "--conf", file, "--single-process"],
        ),
    )
}
