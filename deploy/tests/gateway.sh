# shellcheck shell=bash
# Builds the gateway for the tests, unless PRESENCE_GATEWAY_BIN is the path of one.
# Sourced by check and check-image, with $root as the project's root.

gateway=${PRESENCE_GATEWAY_BIN:+$(realpath "$PRESENCE_GATEWAY_BIN")}
if [[ -z $gateway ]]; then
    cargo build --locked --manifest-path "$root/Cargo.toml"
    target=$(cargo metadata --locked --no-deps --format-version 1 --manifest-path "$root/Cargo.toml" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
    gateway=$target/debug/presence-gateway
fi
export PRESENCE_GATEWAY_BIN=$gateway
