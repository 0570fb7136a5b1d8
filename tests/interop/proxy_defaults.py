"""The changes that turn the configurations of docs/proxies.md into the proxies' defaults."""

# The changes for each proxy: to the defaults of the program, or for HAProxy to those of Debian's file.
DEFAULTS = {
    "Envoy": {"stream_idle_timeout": None, "timeout: 0s": None},
    "nginx": {"client_max_body_size": None, "large_client_header_buffers": None, "grpc_read_timeout": None},
    "HAProxy": {"global\n": "", "tune.bufsize": None, "timeout client 1h": "timeout client 50s", "timeout server 1h": "timeout server 50s"},
    "Caddy 2.6": {},
    "Caddy 2.11": {"max_header_size": None, "read_body_idle": None},
    "Apache": {"LimitRequestFieldSize": None},
    "nghttpx": {"stream-write-timeout": None, "backend-max-backoff": None},
}
