#!/usr/bin/env bash
# Calls gateways with real clients. Writes what each can do into docs/protocol.md, or with CUT=1 checks those with small
# packages against it. Needs bin/gateway; make says where the rest is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
results=.cache/conformance-results
rm -rf "$results"

test_clients() { # group
	"$PYTHON" -m pytest conformance --clients "$1" --results "$results/$1.jsonl"
}
test_clients small
if [ -n "${CUT:-}" ]; then
	"$PYTHON" conformance/report.py check docs/protocol.md "$results"/*.jsonl
else
	test_clients large # in a process of its own: kserve's messages of gRPC have the names of tritonclient's
	"$PYTHON" conformance/report.py write docs/protocol.md "$results"/*.jsonl
fi
