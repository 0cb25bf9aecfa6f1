#!/usr/bin/env bash
# Records a CPU profile of the gateway under load and writes it to cmd/gateway/default.pgo,
# which `go build` uses to optimise (go.dev/doc/pgo). The load is small models in binary, as JSON
# and over gRPC, with a route and with drift detection. Run it on a machine that does nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${SECONDS_EACH:-10}
dir=$(mktemp -d)
trap 'kill "${gateway:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT

go build -pgo=off -o bin/gateway-unprofiled ./cmd/gateway
(cd benchmarks && go build -o "$dir/load" ./load && go build -o "$dir/grpc" ./grpc)
sed 's/sample: 100%/sample: 1%/' configs/demo.yaml >"$dir/demo.yaml" # the demo copies every request to a shadow
bin/gateway-unprofiled serve -c "$dir/demo.yaml" --model-repository models --data-dir "$dir/data" --log-level error \
  --http-address 127.0.0.1:18000 --grpc-address 127.0.0.1:18001 --admin-address 127.0.0.1:18002 >/dev/null &
gateway=$!
until curl -fs http://127.0.0.1:18000/v2/health/ready >/dev/null; do
  kill -0 "$gateway"
  sleep 0.1
done

record() { # NAME, a command that asks for two seconds longer
  "${@:2}" &
  local load=$!
  sleep 1.5
  curl -fs "http://127.0.0.1:18002/debug/pprof/profile?seconds=$seconds" >"$dir/$1.prof"
  wait "$load"
}
longer="$((seconds + 2))s"
http=("$dir/load" -url http://127.0.0.1:18000 -d "$longer")
record iris "${http[@]}" -model iris -header 'X-User-Id: alice'
record iris-json "${http[@]}" -model iris -json
record diabetes "${http[@]}" -model diabetes
record digits "${http[@]}" -model digits
grpc=("$dir/grpc" -load 127.0.0.1:18001 -model iris -d "$longer")
record grpc-calls "${grpc[@]}" -only calls
record grpc-stream "${grpc[@]}" -only stream
go tool pprof -proto "$dir"/*.prof >"$dir/default.pgo" 2>/dev/null
mv "$dir/default.pgo" cmd/gateway/default.pgo
