#!/usr/bin/env bash
# Tests captured traffic in buckets of Google Cloud Storage and Azure Blob Storage, against fake servers of both
# from their packages: fake-gcs-server of Go and azurite of npm. Usage: scripts/stores-check.sh
set -euo pipefail
cd "$(dirname "$0")/.."
fake_gcs_version=v1.56.1
azurite_version=3.35.0
cache=$PWD/.cache/stores
work=$(mktemp -d)
pids=()
end() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap end EXIT

# free_port prints a port that is free now.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# await waits until a server answers, whatever it answers.
await() {
  for _ in $(seq 600); do
    if curl -s -o /dev/null "$1"; then return; fi
    sleep 0.1
  done
  echo "$1 does not answer" >&2
  exit 1
}

mkdir -p "$cache"
gcs=$cache/fake-gcs-server-$fake_gcs_version
if [ ! -x "$gcs" ]; then
  GOBIN=$cache go install "github.com/fsouza/fake-gcs-server@$fake_gcs_version"
  mv "$cache/fake-gcs-server" "$gcs"
fi
azurite=$cache/azurite-$azurite_version
if [ ! -x "$azurite/node_modules/.bin/azurite-blob" ]; then
  mkdir -p "$azurite"
  (cd "$azurite" && npm install --silent --no-fund --no-audit "azurite@$azurite_version")
fi

gcs_port=$(free_port)
"$gcs" -scheme http -host 127.0.0.1 -port "$gcs_port" -backend memory -public-host "127.0.0.1:$gcs_port" >"$work/gcs.log" 2>&1 &
pids+=($!)
azure_port=$(free_port)
# The account and the key that azurite documents for everybody.
export AZURE_STORAGE_ACCOUNT=devstoreaccount1
export AZURE_STORAGE_KEY='Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
"$azurite/node_modules/.bin/azurite-blob" --silent --skipApiVersionCheck --inMemoryPersistence --blobHost 127.0.0.1 --blobPort "$azure_port" >"$work/azurite.log" 2>&1 &
pids+=($!)
await "http://127.0.0.1:$gcs_port/storage/v1/b"
await "http://127.0.0.1:$azure_port/"

curl -sf -o /dev/null -X POST -H 'Content-Type: application/json' -d '{"name": "captured"}' "http://127.0.0.1:$gcs_port/storage/v1/b?project=test"
export STORAGE_EMULATOR_HOST=127.0.0.1:$gcs_port
export SLUICE_TEST_GS=gs://captured
export AZURE_STORAGE_PROTOCOL=http AZURE_STORAGE_DOMAIN=127.0.0.1:$azure_port AZURE_STORAGE_IS_LOCAL_EMULATOR=true
python3 - "$azure_port" <<'PYTHON'
# Makes the container "captured" with a signature by the shared key, so that no package is needed.
import base64, datetime, hashlib, hmac, os, sys, urllib.request
account, path = os.environ["AZURE_STORAGE_ACCOUNT"], "/captured?restype=container"
now = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
text = "PUT" + "\n" * 12 + f"x-ms-date:{now}\nx-ms-version:2021-08-06\n/{account}/{account}/captured\nrestype:container"
key = base64.b64decode(os.environ["AZURE_STORAGE_KEY"])
signature = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/{account}{path}", method="PUT", headers={
    "x-ms-date": now, "x-ms-version": "2021-08-06", "Authorization": f"SharedKey {account}:{signature}"})
urllib.request.urlopen(request).close()
PYTHON
export SLUICE_TEST_AZBLOB=azblob://captured

go test -tags gs,azblob ./internal/capture -run TestStores -count 1 -v
