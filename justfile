# The index of commands: `just` lists them. `.ci/run` installs just and runs
# `just check`; the hosted workflow runs the same recipes.
# Without .ci/run: `pip install rust-just`, or `cargo install --locked just`.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

# Where .ci/tools installs.
export PATH := justfile_directory() / ".ci/.venv/bin:" + env("PATH")

# Lists the recipes.
@_list:
    just --list --unsorted

# All that must hold before a change is accepted.
[group("check")]
check: fmt-check spelling links-inside workflows site lint doc deny test test-load (fuzz "15") deploy-check clients stubs-check docs-run page interop

# What takes seconds once the crates are built: before each commit.
[group("check")]
quick: fmt spelling links-inside lint

# Formats the source.
[group("check")]
fmt:
    cargo fmt --all

[group("check")]
[private]
fmt-check:
    cargo fmt --all --check

# Spelling, by _typos.toml.
[group("check")]
spelling: _tools
    typos

# Lints, without a warning; also of the gateway without the simulated vendor.
[group("check")]
lint:
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked --package presence-gateway --no-default-features -- -D warnings

# The documentation of the source, without a warning.
[group("check")]
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

# Licenses, sources and banned crates, by deny.toml.
[group("check")]
deny: _tools
    cargo deny --locked check bans licenses sources

# Known vulnerabilities of the dependencies; gets the database from GitHub (not in the check).
[group("check")]
advisories: _tools
    cargo deny --locked check advisories
    cargo deny --locked --manifest-path fuzz/Cargo.toml check advisories

# The hosted workflow: by zizmor, and that it runs all recipes of `check`.
[group("check")]
workflows: _tools
    zizmor --offline --quiet .github
    for recipe in $(just --dump --dump-format json | python3 -c 'import json, sys; print(*(it["recipe"] for it in json.load(sys.stdin)["recipes"]["check"]["dependencies"]))'); do \
        grep --quiet -- " $recipe\b" .github/workflows/check.yml || { echo "check.yml lacks the recipe $recipe"; exit 1; }; \
    done

# The Rust tests, or those that match: `just test calls::`.
[group("test")]
test *filter:
    cargo test "$@"

# The tests of the load tool.
[group("test")]
test-load:
    cargo test --locked --package presence-gateway-load

# Fuzzes each target for so many seconds.
[group("test")]
fuzz seconds="20": _tools
    fuzz/run {{ seconds }}

# Manifests, alerts, dashboard; arguments go to pytest.
[group("test")]
deploy-check *arguments:
    deploy/check "$@"

# Builds the image and runs it, with podman, as root (minutes; not in the check).
[group("test")]
image *arguments:
    deploy/check-image "$@"

# Tests of the examples, all or some: `just clients go java`.
[group("test")]
clients *languages:
    tests/clients/run "$@"

# The packages of stubs: makes them, installs each, runs its example.
[group("test")]
stubs-check *directory:
    tests/stubs/run "$@"

# The page of the sandbox in Chromium, and its commands; arguments go to node's test runner.
[group("test")]
page *arguments:
    tests/page/run "$@"

# The vendor's SDKs, other clients, proxies, buf; arguments go to pytest.
[group("test")]
interop *arguments:
    tests/interop/run "$@"

# Those of them that take minutes (not in the check).
[group("test")]
interop-slow *arguments:
    tests/interop/run-slow "$@"

# Load scenarios on release builds (some 37 minutes), or those that are named.
[group("test")]
load *arguments:
    load/run "$@"

# Proves the shared budget while replicas and a real Redis fail (some 14 minutes).
[group("test")]
load-budget *arguments:
    load/budget/run "$@"

# The cost of a call, beside Envoy, direct calls and another build (some 10 minutes).
[group("test")]
bench *arguments:
    load/bench "$@"

# The time of builds from clean, beside those of a commit (some 30 minutes).
[group("test")]
build-times *arguments:
    load/build-times "$@"

# Runs the commands of the documents, of all or of some: `just docs-run README.md`.
[group("docs")]
docs-run *pages:
    tests/docs/run "$@"

# Builds the site from docs/, below target/site/html.
[group("docs")]
docs: site

[group("docs")]
[private]
site: _tools
    tests/docs/site

# Checks all links of the documents, those to other hosts too (not in the check).
[group("docs")]
links:
    tests/docs/links --external

# Checks the links of the documents to files and headings.
[group("docs")]
links-inside:
    tests/docs/links

# Generates the tables and names that tests compare with the protos.
[group("docs")]
generate:
    UPDATE=1 cargo test --test gateway contract::

# Draws deploy/dashboard.png from a gateway under load (some 11 minutes; not in the check).
[group("docs")]
dashboard *arguments:
    deploy/draw-dashboard "$@"

# Draws docs/sandbox.png, the picture of the sandbox's page.
[group("docs")]
screenshot *arguments:
    tests/page/run screenshot "$@"

# Serves the simulated vendor through the gateway; arguments are flags of `serve`.
[group("run")]
sandbox *flags:
    cargo run -- serve --sandbox "$@"

# Makes a call, with the token `any` unless PRESENCE_GATEWAY_TOKEN has one: `just call GetSystempresences`.
[group("run")]
call rpc *arguments:
    PRESENCE_GATEWAY_TOKEN=${PRESENCE_GATEWAY_TOKEN:-any} cargo run --quiet -- call "$@"

# Builds all files of a release, from a clean checkout.
[group("release")]
release directory="dist":
    release/build "$@"

# Makes a release and tries its files (not in the check).
[group("release")]
release-check *directory:
    tests/release/run "$@"

# Makes the packages of stubs: a wheel, an npm package, a Go module.
[group("release")]
stubs directory="dist/stubs":
    stubs/build "$@"

# Makes this contract the one that later ones are compared with.
[group("release")]
baseline:
    proto/release --baseline

[private]
_tools:
    @.ci/tools >/dev/null
