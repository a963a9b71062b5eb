#!/usr/bin/env bash
# The whole graph on tiny data and networks, in a copy of this working tree that goes away after.
# usage: scripts/smoke.sh [FOLDER [OVERLAY…]]   keep the copy in FOLDER; more changes of params.yaml
set -euo pipefail
here=$(git rev-parse --show-toplevel)
if [ $# -gt 0 ]; then
  copy=$(realpath "$1")
  mkdir -p "$copy"
else
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
fi
cd "$here"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- |
  tar --extract --directory="$copy"
cd "$copy"
# Python finds the copy's modules before the installed ones; git bounds what DVC looks at.
export PYTHONPATH=$copy
git init --quiet
rm -rf metrics devices/host/{device.json,tools.json}
find . -name dvc.lock -delete
for overlay in params/smoke.yaml "${@:2}"; do
  edgesmith overlay "$overlay"
done
python scripts/repro.py
dvc repro
edgesmith compare
