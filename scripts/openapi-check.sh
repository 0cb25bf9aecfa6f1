#!/usr/bin/env bash
# Sends valid and invalid requests, which Schemathesis derives from api/openapi.json, to both ports of a gateway that
# serves the demo models. EXAMPLES=100 makes more of them. Needs bin/gateway, and Schemathesis in PYTHON's folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
schemathesis=$(dirname "${PYTHON:-.cache/schemathesis/bin/python}")/schemathesis
dir=$(mktemp -d)
trap 'kill "$gateway" 2>/dev/null; wait "$gateway" 2>/dev/null; rm -rf "$dir"' EXIT

cat >"$dir/sluice.yaml" <<YAML
repository: {path: models, control: explicit, load: ["*"]}
data_dir: $dir/data
server: {http: {address: "127.0.0.1:0"}, grpc: {address: none}, default_model: iris}
admin: {address: "127.0.0.1:0"}
routes:
  iris: {variants: [{version: 1, weight: 95%}, {version: 2, weight: 5%, role: canary}], shadows: [{version: 3, sample: 100%}], override: {token: "a-token-of-this-check"}}
models: {diabetes: {drift: {profile: configs/profiles/diabetes.json, rows: 200}}}
log: {level: info, format: json}
YAML
bin/gateway serve -c "$dir/sluice.yaml" >"$dir/log" 2>&1 &
gateway=$!
for _ in $(seq 300); do
	if grep -q '"msg":"listening"' "$dir/log"; then break; fi
	kill -0 "$gateway" || { cat "$dir/log"; exit 1; }
	sleep 0.1
done
address() { sed -n 's/.*"msg":"listening".*"'"$1"'":"\([^"]*\)".*/\1/p' "$dir/log"; }
until bin/gateway healthcheck --data "$(address http)" 2>/dev/null; do sleep 0.1; done

check() { # port, paths
	"$schemathesis" --config-file scripts/openapi-check.toml run api/openapi.json --url "http://$(address "$1")" \
		--include-path-regex "$2" --exclude-path /api/v1/watch --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-20}" --no-color --warnings off
}
check admin '^/(api|-|metrics|docs|openapi)'
check http '^/(v2|ping|invocations|openapi)'
kill -0 "$gateway" # the gateway must still run
