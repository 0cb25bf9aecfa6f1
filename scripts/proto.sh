#!/bin/sh
# Generates internal/wire/grpcapi/pb, and the descriptors of the Python client, from
# api/inference.proto and api/labels.proto. The compiler is that of PyPI's grpcio-tools; the plug-ins are built from
# source. All three are pinned.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/.cache/proto
export GOBIN="$tools/bin"
mkdir -p "$GOBIN"
[ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install -q grpcio-tools==1.85.1
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
"$tools/venv/bin/python" -m grpc_tools.protoc -Iapi \
	--plugin="$GOBIN/protoc-gen-go" --plugin="$GOBIN/protoc-gen-go-grpc" \
	--go_out=. --go_opt=module=sluice.io/sluice \
	--go-grpc_out=. --go-grpc_opt=module=sluice.io/sluice,require_unimplemented_servers=true \
	--include_imports --descriptor_set_out=clients/python/src/sluice/messages.binpb \
	api/inference.proto api/labels.proto
