#!/usr/bin/env bash
# Runs real clients against gateways. Writes what each can do into docs/protocol.md, or with CUT=1 checks those with small
# packages against it. Needs bin/gateway, and the packages of conformance/requirements.txt for PYTHON.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-.cache/conformance/bin/python}
results=.cache/conformance/results
rm -rf "$results"

"$python" -m pytest conformance --results "$results/small.jsonl"
"$python" conformance/report.py "$([ -n "${CUT:-}" ] && echo check || echo write)" docs/protocol.md "$results"/*.jsonl
