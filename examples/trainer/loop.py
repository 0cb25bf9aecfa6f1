"""Shows the whole loop on real data, and checks it: a feature shifts, then the concept; the gateway notices, has a successor trained,
compares it with the old version, and rolls it out. Prints a timeline.

    python loop.py --gateway ../../bin/gateway

It starts a gateway of its own on free ports, and removes everything at the end.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
MODEL = "tumor"
TEXTURE = 1  # the feature that shifts, and by which the concept shifts
BATCH = 10

CONFIG = """
data_dir: {dir}/data
repository: {{path: {dir}/models}}
server: {{http: {{address: "127.0.0.1:0"}}, grpc: {{address: none}}}}
admin: {{address: "127.0.0.1:0"}}
capture: {{rotate_age: 1s}}
retrain: {{retry: 1s, cool_down: 5s}}
routes:
  {model}: {{model: {model}, variants: [{{version: 1, weight: 100%}}]}}
models:
  {model}:
    labels: {{sample: 100%, task: classification, output: probabilities}}
    capture: {{sample: 100%}}
    drift: {{window: 3s, min_rows: 50, false_alarm_every: 24h, recover: 1, loss_reference: 400, calibration: {{unpromised: ask}}}}  # this traffic has no time of day
    retrain:
      trainer: exec
      timeout: 5m
      exec: {{command: ["{python}", "{trainer}"], env: [PATH, LANG, SLUICE_GATEWAY, LD_LIBRARY_PATH, ONNXRUNTIME_LIB]}}
      holdout: 0.3
      min_labels: 200
      parameters: {{n_estimators: ["20", "50"], max_depth: ["4", "12"]}}
      trials: 4
      trial_time: 2m
      metric: accuracy
      rollout: canary-auto
      preset: fast
      step_time: 20s
      bake: 15s
      inconclusive: ship # the labelled comparison has decided
"""


class Gateway:
    """A gateway with a model, and the traffic of its callers."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.folder, self.began = folder, time.time()
        config = folder / "sluice.yaml"
        config.write_text(CONFIG.format(dir=folder, model=MODEL, python=sys.executable, trainer=HERE / "trainer.py"))
        env = {**os.environ, "SLUICE_GATEWAY": str(binary)}
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen([binary, "serve", "--config", config], stderr=subprocess.PIPE, stdout=self.log, env=env, text=True)
        self.http = self.admin = None
        for line in self.process.stderr:
            self.log.write(line)
            if '"listening"' in line or "listening" in line and "admin" in line:
                entry = json.loads(line)
                self.http, self.admin = "http://" + entry["http"], "http://" + entry["admin"]
                break
        if self.http is None:
            raise SystemExit((folder / "log").read_text() + "\nthe gateway did not start")
        self.connection, self.unsent = http.client.HTTPConnection(self.http.removeprefix("http://"), timeout=30), []
        threading.Thread(target=self._drain, daemon=True).start()
        wait(lambda: self.ask("GET", self.http + "/v2/models/" + MODEL + "/ready", check=False) is not None, "the model is ready")

    def _drain(self) -> None:
        for line in self.process.stderr:
            self.log.write(line)
            self.log.flush()

    def ask(self, method: str, url: str, body=None, headers=None, check: bool = True):
        request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode(), headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return json.loads(text) if text else {}
        except (urllib.error.HTTPError, OSError) as e:
            if check:
                raise RuntimeError(f"{method} {url}: {e} {e.read().decode() if hasattr(e, 'read') else ''}") from e
            return None

    def send(self, number: int, x: np.ndarray, y: np.ndarray) -> float:
        """Sends rows, and later their labels. Returns the share of right answers."""
        answer = self.fast("infer", {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": x.ravel().tolist()}],
        }, {"X-Request-Id": f"r{number}"})
        outputs = {o["name"]: o["data"] for o in answer["outputs"]}
        self.unsent += [{"request_id": f"r{number}", "row": i, "label": int(label)} for i, label in enumerate(y)]
        if len(self.unsent) >= 20 * BATCH:
            self.fast("labels", {"labels": self.unsent})
            self.unsent = []
        return float(np.mean(np.array(outputs["label"]) == y))

    def fast(self, what: str, body: dict, headers: dict | None = None) -> dict:
        """Calls the data plane, on a connection that is kept."""
        self.connection.request("POST", f"/v2/models/{MODEL}/{what}", json.dumps(body), headers or {})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{what}: {answer.status} {text.decode()}")
        return json.loads(text)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()


def wait(holds, what: str, seconds: float = 120) -> None:
    end = time.time() + seconds
    while time.time() < end:
        if holds():
            return
        time.sleep(0.1)
    raise SystemExit(f"it did not happen within {seconds:.0f} s: {what}")


class World:
    """Replays the rows of the data set, in random order, again and again, each with a little noise. The world can change."""

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int = 7) -> None:
        self.x, self.y, self.noise = x, y, x.std(axis=0) * 0.02
        self.random = np.random.default_rng(seed)
        self.shifted = self.turned = False
        self.middle = float(np.median(x[:, TEXTURE]))

    def rows(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        at = self.random.integers(len(self.x), size=n)
        x, y = self.x[at] + self.random.normal(size=(n, self.x.shape[1])) * self.noise, self.y[at].copy()
        if self.turned:  # what is true depends on the texture now
            high = x[:, TEXTURE] > self.middle
            y[high] = 1 - y[high]
        if self.shifted:  # another instrument measures the texture
            x[:, TEXTURE] *= 1.25
        return x.astype(np.float32), y


def first_version(folder: Path, binary: Path, x: np.ndarray, y: np.ndarray) -> None:
    """Trains version 1, and makes its profile."""
    model = RandomForestClassifier(n_estimators=200, random_state=1).fit(x, y)
    place = folder / "models" / MODEL / "1"
    place.mkdir(parents=True)
    onnx_model = to_onnx(model, initial_types=[("x", FloatTensorType([None, x.shape[1]]))], options={id(model): {"zipmap": False}}, target_opset={"": 21, "ai.onnx.ml": 3})
    (place / "model.onnx").write_bytes(onnx_model.SerializeToString())
    rows = folder / "train.csv"
    np.savetxt(rows, x, delimiter=",", header=",".join(f"x[{i}]" for i in range(x.shape[1])), comments="", fmt="%.9g")
    subprocess.run([binary, "profile", "build", rows, "--model-file", place / "model.onnx", "--header", "yes", "-o", place / "profile.json"], check=True, stdout=subprocess.DEVNULL)


class Demo:
    def __init__(self, gateway: Gateway, world: World) -> None:
        self.gateway, self.world = gateway, world
        self.sent, self.recent, self.timeline = 0, [], []

    def say(self, text: str) -> None:
        line = f"{time.time() - self.gateway.began:7.1f} s  {text}"
        self.timeline.append(line)
        print(line, flush=True)

    def traffic(self, until, what: str, seconds: float = 180) -> None:
        """Sends traffic until something holds."""
        end, look = time.time() + seconds, 0.0
        while time.time() < end:
            self.recent.append(self.gateway.send(self.sent, *self.world.rows(BATCH)))
            self.sent += 1
            if time.time() >= look:
                if until():
                    return
                look = time.time() + 0.5
            time.sleep(0.002)
        raise SystemExit("\n".join(self.timeline) + f"\nit did not happen within {seconds:.0f} s: {what}\n" + self.state())

    def rows(self, n: int) -> float:
        """Sends n requests, and returns the accuracy of their answers."""
        for _ in range(n):
            self.recent.append(self.gateway.send(self.sent, *self.world.rows(BATCH)))
            self.sent += 1
        return float(np.mean(self.recent[-n:]))

    def state(self) -> str:
        g = self.gateway
        return json.dumps([g.ask("GET", g.admin + path, check=False) for path in ("/api/v1/drift", "/api/v1/retrainings", f"/api/v1/rollouts/{MODEL}", f"/api/v1/labels/{MODEL}")], indent=1)[:8000]

    def retrainings(self) -> list[dict]:
        return self.gateway.ask("GET", self.gateway.admin + "/api/v1/retrainings?model=" + MODEL)

    def run(self) -> None:
        g, admin = self.gateway, self.gateway.admin
        before = self.rows(60)
        self.say(f"version 1 serves; accuracy {before:.3f} on {60 * BATCH} labelled rows")
        assert before > 0.9, before
        self.traffic(lambda: any(d["state"] == "OK" and d["windows"] >= 2 for d in g.ask("GET", admin + "/api/v1/drift")), "two quiet windows")
        self.say("two windows were judged: no drift")

        self.world.shifted = True
        self.say("the feature 'texture' shifts: every value is 1.25 times as large")
        self.traffic(lambda: any(d["state"] == "DETECTED" for d in g.ask("GET", admin + "/api/v1/drift")), "the drift is detected")
        self.say("drift is DETECTED")
        self.traffic(lambda: self.retrainings(), "a retraining is requested")
        first = self.retrainings()[0]
        self.say(f"retraining {first['id'][:8]} is requested, cause {first['cause']}")
        self.follow(first["id"])

        self.world.turned = True
        self.say("the concept shifts: above the median of the texture, what was benign is malignant, and the other way round")
        low = self.rows(40)
        self.say(f"accuracy {low:.3f}")
        assert low < before - 0.2, low
        known = {r["id"] for r in self.retrainings()}
        self.traffic(lambda: any(r["id"] not in known for r in self.retrainings()), "a second retraining is requested", 300)
        second = next(r for r in self.retrainings() if r["id"] not in known)
        self.say(f"retraining {second['id'][:8]} is requested, cause {second['cause']}, for version {second['parent']}")
        done = self.follow(second["id"])
        assert done["judgement"]["verdict"] == "better", done
        after = self.rows(60)
        self.say(f"version {done['candidate']} serves; accuracy {after:.3f}")
        assert after > low + 0.2 and after > 0.8, (low, after)
        self.story(second["id"])

    def follow(self, identifier: str) -> dict:
        """Follows a retraining to its end, and its rollout until the new version has all requests."""
        states, admin = [], self.gateway.admin

        def ended() -> bool:
            r = self.gateway.ask("GET", f"{admin}/api/v1/signals/{identifier}/retraining")
            if [r["state"], r.get("message")] not in states:
                states.append([r["state"], r.get("message")])
                self.say(f"  {r['state']}: {r.get('why') or r.get('message') or ''}")
            return r["state"] in ("finished", "failed", "expired", "rejected")

        self.traffic(ended, "the retraining ends", 300)
        r = self.gateway.ask("GET", f"{admin}/api/v1/signals/{identifier}/retraining")
        if r["state"] != "finished":
            log = urllib.request.urlopen(f"{admin}/api/v1/signals/{identifier}/log").read().decode()
            raise SystemExit(f"{r}\n{log}")
        if not r.get("rollout"):
            return r
        steps = []

        def promoted() -> bool:
            x = self.gateway.ask("GET", f"{admin}/api/v1/rollouts/{MODEL}")
            if [x["state"], x.get("step")] not in steps:
                steps.append([x["state"], x.get("step")])
                self.say(f"  rollout {x['id']}: {x['state']}: {x.get('why', '')}")
            if x["state"] in ("ROLLED_BACK", "PAUSED"):
                raise SystemExit(json.dumps(x, indent=1)[:6000])
            return x["state"] == "COMPLETED"

        self.traffic(promoted, "the version has all requests", 900)
        return r

    def story(self, identifier: str) -> None:
        """Checks that the journal tells it in order."""
        events = self.gateway.ask("GET", f"{self.gateway.admin}/api/v1/journal?subject=retrain/{identifier}")
        kinds = [e["type"] for e in events]
        for kind in ("retrain.requested", "retrain.accepted", "retrain.running", "retrain.judged", "retrain.finished", "retrain.closed"):
            assert kind in kinds, kinds
        assert kinds.index("retrain.requested") < kinds.index("retrain.accepted") < kinds.index("retrain.judged") < kinds.index("retrain.finished"), kinds
        self.say(f"the journal has {len(kinds)} events about it: " + ", ".join(dict.fromkeys(kinds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", type=Path, default=HERE.parent.parent / "bin" / "gateway")
    parser.add_argument("--keep", type=Path, help="a folder that is not removed at the end")
    options = parser.parse_args()
    data = load_breast_cancer()
    x, later, y, later_y = train_test_split(data.data.astype(np.float32), data.target.astype(np.int64), test_size=0.5, random_state=1, stratify=data.target)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        binary = options.gateway.resolve()
        first_version(folder, binary, x, y)
        gateway = Gateway(binary, folder)
        try:
            Demo(gateway, World(np.concatenate([x, later]), np.concatenate([y, later_y]))).run()
        finally:
            gateway.stop()
    print("the loop is closed")


if __name__ == "__main__":
    main()
