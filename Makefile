# Targets for people and for CI. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup build run test check bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install ONNX Runtime's library and headers into .deps
	@scripts/setup-ort.sh

build: setup ## build bin/gateway
	go build -o bin/gateway ./cmd/gateway

run: build ## serve the demo models
	bin/gateway serve -c configs/demo.yaml

test: setup ## run all tests
	go test ./...

check: setup ## formatting, vet, and the tests under the race detector
	@test -z "$$(gofmt -l api client cmd internal)" || { gofmt -l api client cmd internal; echo "make check: run gofmt on these files"; exit 1; }
	go vet ./...
	go test -race ./...
	go test -tags invariants ./internal/runtime/...

bench: setup ## run the micro-benchmarks
	go test -run '^$$' -bench . -benchmem ./...

clean: ## remove what was built, not what was downloaded
	rm -rf bin
