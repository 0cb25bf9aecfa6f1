#!/bin/sh
# Builds bin/gateway like `go build -o bin/gateway ./cmd/gateway`, and prints the progress:
# the first build compiles hundreds of packages, also C code, which takes minutes on a small
# machine.
set -eu
cd "$(dirname -- "$0")/.."

echo "build: reading the modules and downloading those that are missing" >&2
total=$(go list -deps ./cmd/gateway | wc -l | tr -d ' ')
echo "build: compiling bin/gateway, $total packages; the first time takes minutes, later ones seconds" >&2

log=$(mktemp)
trap 'rm -f "$log"' EXIT
go build -v -o bin/gateway ./cmd/gateway 2>"$log" & # -v prints each package that it compiles
pid=$!
trap 'kill "$pid" 2>/dev/null || true; exit 1' HUP INT TERM
seconds=0
while kill -0 "$pid" 2>/dev/null; do
	sleep 1
	seconds=$((seconds + 1))
	[ $((seconds % 5)) -ne 0 ] || echo "build: $(wc -l <"$log" | tr -d ' ') of at most $total packages after $seconds s" >&2
done
if wait "$pid"; then
	echo "build: done" >&2
else
	grep -v '^[A-Za-z0-9_.~/-]*$' "$log" >&2 || true # the errors, without the names of packages
	exit 1
fi
