"""Front ends that end TLS for a vendor, with HTTP/2 or without, each from the programs of the proxy tests."""

import os
import signal
import urllib.request
from contextlib import contextmanager

from processes import environment, free_port, running
from proxy import envoy_program
from reverse_proxies import DEBIAN, LIBRARIES, NEW_CADDY

BOTH, OLD = ("h2", "http/1.1"), ("http/1.1",)

NGINX = """
daemon off;
{as_root}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream vendor {{ server 127.0.0.1:{vendor}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} ssl {http2};
        ssl_certificate {cert};
        ssl_certificate_key {key};
        {limit}
        location / {{
            proxy_pass http://vendor;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

HAPROXY = """
global
    hard-stop-after 5s
defaults
    mode http
    timeout connect 3s
    timeout client 50s
    timeout server 50s
frontend vendor
    bind 127.0.0.1:{port} ssl crt {both} alpn {alpn}
    default_backend sandbox
backend sandbox
    server one 127.0.0.1:{vendor}
"""

CADDY = """
{{
    admin 127.0.0.1:{admin}
    auto_https off
    servers {{
        protocols {protocols}
    }}
}}
https://127.0.0.1:{port} {{
    tls {cert} {key}
    reverse_proxy 127.0.0.1:{vendor}
}}
"""

APACHE = """
ServerRoot {directory}
ServerName localhost
PidFile {directory}/apache.pid
Mutex file:{directory} default
ErrorLog {directory}/error.log
{as_root}
{modules}
Listen 127.0.0.1:{port}
Protocols {alpn}
{limit}
SSLEngine on
SSLCertificateFile {cert}
SSLCertificateKeyFile {key}
SSLSessionCache none
ProxyPass "/" "http://127.0.0.1:{vendor}/"
"""

NGHTTPX = """
frontend=127.0.0.1,{port}
backend=127.0.0.1,{vendor}
npn-list={commas}
workers=1
private-key-file={key}
certificate-file={cert}
{limit}
"""

ENVOY = """
node: {{ id: front, cluster: front }}
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }} }}
dynamic_resources:
  lds_config: {{ resource_api_version: V3, path_config_source: {{ path: {directory}/listeners.yaml }} }}
static_resources:
  clusters:
  - name: sandbox
    type: STATIC
    load_assignment:
      cluster_name: sandbox
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {vendor} }} }} }}
"""

ENVOY_LISTENERS = """
version_info: "{number}"
resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: vendor
  address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
  filter_chains:
  - transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
        common_tls_context:
          alpn_protocols: [{commas}]
          tls_certificates:
          - {{ certificate_chain: {{ filename: {cert} }}, private_key: {{ filename: {key} }} }}
    filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: vendor-{number}
        common_http_protocol_options: {{ {limit} }}
        route_config:
          virtual_hosts:
          - name: vendor
            domains: ["*"]
            routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: sandbox, timeout: 0s }} }}]
        http_filters:
        - name: envoy.filters.http.router
          typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
"""


class Front:
    """A front end that runs: its configuration can be replaced, also by the same one."""

    def __init__(self, kind, directory, issued, vendor):
        self._kind = kind
        self._directory = directory
        self.process = None
        cert, key = issued
        files = {"cert": cert, "key": key, "both": cert + key}
        ports = {"vendor": vendor, "port": free_port(), "admin": free_port()}
        self._values = ports | {"directory": directory, "number": 0}
        for file, pem in files.items():
            self._values[file] = directory / f"{file}.pem"
            self._values[file].write_bytes(pem)

    @property
    def url(self):
        return f"https://127.0.0.1:{self._values['port']}"

    def configure(self, offered, limit):
        """Writes the configuration that offers these protocols, with `limit` for few requests on a connection."""
        self._values |= {
            "number": self._values["number"] + 1,
            "alpn": (" " if self._kind.spaced else ",").join(offered),
            "commas": ",".join(offered),
            "http2": "http2" if "h2" in offered else "",
            "protocols": "h1 h2" if "h2" in offered else "h1",
            "limit": self._kind.limit if limit else "",
            "as_root": self._kind.as_root if os.geteuid() == 0 else "",
            "modules": _apache_modules(),
        }
        for name, text in self._kind.files.items():
            # Replaced in one step, for Envoy watches it.
            part = self._directory / f"{name}.part"
            part.write_text(text.format(**self._values), encoding="utf-8")
            part.rename(self._directory / name)

    @contextmanager
    def running(self):
        file = self._directory / next(iter(self._kind.files))
        env = environment(LD_LIBRARY_PATH=LIBRARIES)
        with running(self._kind.command(file), self._values["port"], self._directory / "front.log", env) as process:
            self.process = process
            yield self

    def reload(self, offered=BOTH, limit=False):
        """Makes it serve new connections by this configuration; old ones end in its own way."""
        self.configure(offered, limit)
        self._kind.reload(self)

    def signal(self, number):
        self.process.send_signal(number)

    def load_by_admin(self):
        """Loads the configuration by Caddy's own interface."""
        text = (self._directory / "Caddyfile").read_bytes()
        address = f"http://127.0.0.1:{self._values['admin']}/load"
        # Else it ignores a configuration that has not changed.
        headers = {"Content-Type": "text/caddyfile", "Cache-Control": "must-revalidate"}
        request = urllib.request.Request(address, text, headers)
        urllib.request.urlopen(request, timeout=10).close()


class Kind:
    """A program: its files, the first of which is its argument, and how to start and reload it."""

    def __init__(self, files, command, reload, limit="", as_root="", spaced=False):
        self.files, self.command, self.reload = files, command, reload
        self.limit, self.as_root, self.spaced = limit, as_root, spaced


def _apache_modules():
    names = ("mpm_event", "authz_core", "http2", "ssl", "proxy", "proxy_http")
    return "\n".join(f"LoadModule {name}_module {DEBIAN}/usr/lib/apache2/modules/mod_{name}.so" for name in names)


def _signalled(number):
    return lambda front: front.signal(number)


def _caddy(program):
    command = lambda file: [program, "run", "--config", file, "--adapter", "caddyfile"]
    return Kind({"Caddyfile": CADDY}, command, Front.load_by_admin)


FRONTS = {
    "nginx": Kind(
        {"nginx.conf": NGINX},
        lambda file: [DEBIAN / "usr/sbin/nginx", "-p", file.parent, "-c", file],
        _signalled(signal.SIGHUP),
        "keepalive_requests 50;",
        "user root;",
    ),
    "HAProxy": Kind(
        {"haproxy.cfg": HAPROXY},
        lambda file: [DEBIAN / "usr/sbin/haproxy", "-W", "-db", "-f", file],
        _signalled(signal.SIGUSR2),
    ),
    "Envoy": Kind(
        {"envoy.yaml": ENVOY, "listeners.yaml": ENVOY_LISTENERS},
        lambda file: [
            *(envoy_program(), "--config-path", file, "--disable-hot-restart"),
            *("--concurrency", "1", "--drain-time-s", "2"),
        ],
        lambda front: None,  # it watches its file
        "max_requests_per_connection: 50",
    ),
    "Caddy 2.6": _caddy(DEBIAN / "usr/bin/caddy"),
    "Caddy 2.11": _caddy(NEW_CADDY),
    "Apache": Kind(
        {"apache.conf": APACHE},
        lambda file: [DEBIAN / "usr/sbin/apache2", "-DFOREGROUND", "-f", file],
        _signalled(signal.SIGUSR1),
        "MaxKeepAliveRequests 50",
        "User nobody\nGroup nogroup",
        spaced=True,
    ),
    "nghttpx": Kind(
        {"nghttpx.conf": NGHTTPX},
        lambda file: [DEBIAN / "usr/sbin/nghttpx", "--conf", file],
        _signalled(signal.SIGHUP),
        "frontend-max-requests=50",
    ),
}


@contextmanager
def front(name, directory, authority, sandbox, offered=BOTH, limit=False):
    """Runs a front end before this sandbox."""
    directory.mkdir(parents=True, exist_ok=True)
    issued = authority.issue("localhost", "127.0.0.1")
    it = Front(FRONTS[name], directory, issued, sandbox.address.rsplit(":", 1)[1])
    it.configure(offered, limit)
    with it.running():
        yield it
