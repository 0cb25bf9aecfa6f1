#!/bin/sh
# Checks configs/prometheus and the dashboard with a real Prometheus:
#
# 1. It checks the configuration and the rules, and runs the rules' unit tests.
# 2. It starts a gateway with the demo models and a Prometheus on free ports. The gateway
#    has a route with a canary and a shadow, and a reference that the requests differ from.
# 3. It sends requests with labels, and waits until the target is up and every rule was evaluated
#    without an error.
# 4. It sends every query of the dashboard.
#
# It prints the results, and exits with 1 if there is a problem.
#
#   apt-get install prometheus      # has promtool too; the script does not install it
#   make build && scripts/prometheus-check.sh
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
rules=$root/configs/prometheus/rules
gateway=${GATEWAY:-$root/bin/gateway}
seconds=60 # the max time of each wait
gateway_pid='' prometheus_pid=''

fail() {
	echo "prometheus-check: $*" >&2
	for log in "$tmp"/*.log; do
		[ -s "$log" ] && echo "--- the end of $(basename "$log")" >&2 && tail -n 15 "$log" >&2
	done
	exit 1
}

stop() {
	for pid in $prometheus_pid $gateway_pid; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
	done
	rm -rf "$tmp"
}

# wait_for WHAT COMMAND...: runs the command until it succeeds.
wait_for() {
	what=$1
	shift
	tries=$seconds
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail "$what: not within $seconds s"
		for pid in $gateway_pid $prometheus_pid; do
			kill -0 "$pid" 2>/dev/null || fail "$what: a process has ended"
		done
		sleep 1
	done
}

tmp=$(mktemp -d)
trap stop EXIT
trap 'exit 1' HUP INT TERM

for tool in promtool prometheus python3; do
	command -v "$tool" >/dev/null 2>&1 || fail "'$tool' is not in PATH"
done
[ -x "$gateway" ] || fail "there is no program at $gateway; run 'make build', or set GATEWAY"

promtool check config "$root/configs/prometheus/prometheus.yml"
promtool test rules "$rules/sluice.test.yml"

# Version 1 of iris is stable, 2 is the canary, 3 is the shadow.
cp -R "$root/models" "$tmp/models"
set -- $(python3 -c 'import socket
s = [socket.socket() for _ in range(3)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])')
http=127.0.0.1:$1 admin=127.0.0.1:$2 prometheus=127.0.0.1:$3
python3 -c 'import random
random.seed(1)
print(*("input[%d]" % i for i in range(4)), sep=",")
for _ in range(1000):
    print(*(round(random.gauss(mean, 0.5), 2) for mean in (5.8, 3.1, 3.8, 1.2)), sep=",")' >"$tmp/iris.csv"
"$gateway" profile build "$tmp/iris.csv" --model-repository "$tmp/models" --model iris -o "$tmp/iris.json"
cat >"$tmp/gateway.yaml" <<END
repository: {path: $tmp/models}
server: {http: {address: "$http"}, grpc: {address: none}}
admin: {address: "$admin"}
data_dir: $tmp/data
models: {iris: {versions: all, drift: {profile: $tmp/iris.json, window: 1s, min_rows: 5, loss_reference: 50}, labels: {sample: 100%, task: classification}}}
routes:
  iris:
    variants: [{version: 1, weight: 80%}, {version: 2, weight: 20%, role: canary}]
    shadows: [{version: 3, sample: 100%}]
    sticky: {header: X-User-Id}
    fallback: stable
END
sed -e "s/127\.0\.0\.1:8002/$admin/" -e "s|rules/\*|$rules/*|" -e 's/: 15s/: 1s/' \
	"$root/configs/prometheus/prometheus.yml" >"$tmp/prometheus.yml"

"$gateway" serve -c "$tmp/gateway.yaml" >"$tmp/gateway.log" 2>&1 &
gateway_pid=$!
get() { python3 -c 'import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], timeout=5).read())' "$1"; }
wait_for "waiting for the gateway" get "http://$http/v2/health/ready"

prometheus --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/tsdb" \
	--web.listen-address="$prometheus" >"$tmp/prometheus.log" 2>&1 &
prometheus_pid=$!
wait_for "waiting for Prometheus" get "http://$prometheus/-/ready"

python3 - "http://$http" "http://$prometheus" "$seconds" "$root/configs/grafana/sluice.json" <<'END' || fail "see above"
import json, sys, time, urllib.error, urllib.parse, urllib.request

gateway, prometheus, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])


def api(path, **query):
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    return json.load(urllib.request.urlopen(url, timeout=5))["data"]


def infer(user):
    tensor = {"name": input_name, "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}
    request = urllib.request.Request(
        f"{gateway}/v2/models/iris/infer", json.dumps({"inputs": [tensor]}).encode(),
        {"Content-Type": "application/json", "X-User-Id": f"user-{user}", "X-Request-Id": f"request-{user}"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        picked = answer.headers["Sluice-Version"], answer.headers["Sluice-Reason"]
    label = json.dumps({"labels": [{"request_id": f"request-{user}", "label": user % 3}]})
    labels = urllib.request.Request(f"{gateway}/v2/models/iris/labels", label.encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(labels, timeout=5).close()
    return picked


input_name = json.load(urllib.request.urlopen(f"{gateway}/v2/models/iris", timeout=5))["inputs"][0]["name"]
deadline = time.monotonic() + seconds
user, served = 0, {}
while True:
    for _ in range(20):
        user += 1
        picked = infer(user)
        served[picked] = served.get(picked, 0) + 1
    targets = [t for t in api("targets")["activeTargets"] if t["health"] == "up"]
    rules = [r for g in api("rules")["groups"] for r in g["rules"]]
    broken = [f'{r["name"]}: {r.get("lastError")}' for r in rules if r["health"] == "err"]
    if broken:
        sys.exit("rules failed: " + "; ".join(broken))
    records = sorted({r["name"] for r in rules if r["type"] == "recording"})
    values = {n: api("query", query=n)["result"] for n in records}
    waiting = [r["name"] for r in rules if r["health"] != "ok"] + [n for n in records if not values[n]]
    if targets and rules and not waiting:
        break
    if time.monotonic() > deadline:
        sys.exit(f"after {seconds} s: {len(targets)} targets are up, and there is no result yet from {waiting}")
    time.sleep(0.5)

print("requests by version and reason:", ", ".join(f"{v} {r}: {n}" for (v, r), n in sorted(served.items())))
print("target up:", targets[0]["scrapeUrl"])
print(f"{len(rules)} rules evaluated without an error; recorded:")
for name in records:
    for sample in values[name]:
        labels = ",".join(f"{k}={v}" for k, v in sorted(sample["metric"].items()) if k not in ("__name__", "job"))
        print(f'  {name}{{{labels}}} {float(sample["value"][1]):.4g}')
firing = sorted({a["labels"]["alertname"] for a in api("alerts")["alerts"] if a["state"] == "firing"})
print("firing alerts:", ", ".join(firing) or "none")

dashboard = json.load(open(sys.argv[4]))
asked, empty, refused = 0, [], []
for panel in dashboard["panels"] + dashboard["annotations"]["list"]:
    for target in panel.get("targets", [panel]):
        if "expr" not in target:
            continue
        query = target["expr"].replace("$__rate_interval", "1m").replace("$job", "sluice").replace("$route", ".*").replace("$model", ".*")
        asked += 1
        try:
            if not api("query", query=query)["result"]:
                empty.append(panel.get("title", panel.get("name")))
        except urllib.error.HTTPError as error:
            refused.append(f"{query}: {error.read().decode()}")
if refused:
    sys.exit("queries of the dashboard failed: " + "; ".join(refused))
print(f"{asked} queries of the dashboard succeeded; without data so far:", ", ".join(empty) or "none")
END
