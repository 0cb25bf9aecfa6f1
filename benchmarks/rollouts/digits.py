"""Rolls out versions of a model of digits on live traffic without labels, and says what became of them.

The stable version was trained on 200 digits. One candidate was trained on more digits, of whose labels 40% are wrong; another on
the same digits with right labels. The gateway sees requests and answers alone: the labels are used afterwards, to count what
callers got.

    python digits.py --gateway ../../bin/gateway --out ../results/rollouts-digits.md
"""

import argparse
import json
import random
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

CANDIDATES = {2: "trained on corrupted labels", 3: "trained on more digits"}
STEPS = [{"weight": 500, "for": "60s"}, {"weight": 2000, "for": "60s"}, {"weight": 5000, "for": "3m"}]


def train(repository: Path) -> tuple[np.ndarray, np.ndarray, dict[int, float]]:
    """Writes the versions; returns the rows of the traffic, their labels, and the versions' accuracies on them."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train_x, rows, train_y, labels = train_test_split(x, y, test_size=797, random_state=1, stratify=y)
    corrupted = train_y.copy()
    wrong = np.random.default_rng(1).random(len(corrupted)) < 0.4
    corrupted[wrong] = np.random.default_rng(2).integers(0, 10, wrong.sum())
    accuracy = {}
    for version, (size, answers) in {1: (200, train_y), 2: (1000, corrupted), 3: (1000, train_y)}.items():
        model = LogisticRegression(max_iter=2000).fit(train_x[:size], answers[:size])
        accuracy[version] = model.score(rows, labels)
        onnx = to_onnx(model, initial_types=[("pixels", FloatTensorType([None, 64]))], options={"zipmap": False})
        path = repository / "digits" / str(version) / "model.onnx"
        path.parent.mkdir(parents=True)
        path.write_bytes(onnx.SerializeToString())
    return rows, labels, accuracy


def ask(url: str, body: object = None, method: str | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Sluice-Change-Reason": "experiment"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)


class Traffic:
    """Requests of random rows from several callers, at a rate, and what they were answered."""

    def __init__(self, url: str, rows: np.ndarray, labels: np.ndarray, rate: float) -> None:
        self.url, self.rows, self.labels = url + "/v2/models/digits/infer", rows, labels
        self.lock = threading.Lock()
        self.counts: dict[int, list[int]] = {}  # by version: requests, wrong ones
        self.failed = 0
        self.stopped = threading.Event()
        callers = 8
        self.threads = [threading.Thread(target=self.run, args=(seed, callers / rate)) for seed in range(callers)]
        for thread in self.threads:
            thread.start()

    def run(self, seed: int, pause: float) -> None:
        chosen = random.Random(seed)
        while not self.stopped.wait(chosen.expovariate(1 / pause)):
            i = chosen.randrange(len(self.rows))
            inputs = [{"name": "pixels", "datatype": "FP32", "shape": [1, 64], "data": self.rows[i].tolist()}]
            try:
                answer = ask(self.url, {"inputs": inputs, "outputs": [{"name": "label"}, {"name": "probabilities"}]})
            except OSError:
                with self.lock:
                    self.failed += 1
                continue
            label = next(o["data"][0] for o in answer["outputs"] if o["name"] == "label")
            with self.lock:
                count = self.counts.setdefault(int(answer["model_version"]), [0, 0])
                count[0] += 1
                count[1] += int(label != self.labels[i])

    def snapshot(self) -> dict[int, list[int]]:
        with self.lock:
            return {version: list(count) for version, count in self.counts.items()}

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def roll_out(admin: str, version: int, traffic: Traffic) -> dict:
    """Starts a rollout and waits for its end."""
    before = traffic.snapshot().get(version, [0, 0])
    began = time.monotonic()
    spec = {"route": "digits", "version": version, "preset": "standard", "steps": STEPS, "bake": "10s"}
    ask(admin + "/api/v1/rollouts", spec)
    while True:
        time.sleep(0.5)
        now = next(r for r in ask(admin + "/api/v1/rollouts") if r["spec"]["route"] == "digits")
        if now["state"] in ("ROLLED_BACK", "COMPLETED", "PAUSED"):
            break
    after = traffic.snapshot().get(version, [0, 0])
    return {
        "state": now["state"], "why": now["why"], "step": now["step"] + 1, "seconds": time.monotonic() - began,
        "requests": after[0] - before[0], "wrong": after[1] - before[1], "evidence": now["evidence"],
    }


def page(accuracy: dict[int, float], rate: float, results: dict[int, dict], failed: int) -> str:
    steps = ", ".join(f"{s['weight'] / 100:g}% for {s['for']}" for s in STEPS)
    lines = [
        "# Rollouts of versions of a model of digits", "",
        "Made by `make bench-rollouts-digits`. Live traffic without labels: random digits that no version was trained on, "
        f"{rate:g} requests a second. Preset standard with the steps {steps}. The stable version is right for "
        f"{accuracy[1]:.1%} of the digits.", "",
        "| version | right | state | after | step | requests that it answered | wrong ones |", "|---|---|---|---|---|---|---|",
    ]
    for version, r in results.items():
        lines.append(
            f"| {CANDIDATES[version]} | {accuracy[version]:.1%} | {r['state']} | {r['seconds']:.0f} s | {r['step']} of {len(STEPS)} | "
            f"{r['requests']} | {r['wrong']} |"
        )
    lines += [""] + [f"- {CANDIDATES[v]}: {r['why']}" for v, r in results.items()]
    lines += [f"- requests that failed: {failed}", ""]
    return "\n".join(lines)


def main() -> None:
    flags = argparse.ArgumentParser()
    flags.add_argument("--gateway", default="../bin/gateway")
    flags.add_argument("--rate", type=float, default=200)
    flags.add_argument("--out")
    args = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, labels, accuracy = train(Path(folder) / "models")
        config = Path(folder) / "sluice.yaml"
        config.write_text(json.dumps({
            "repository": {"path": str(Path(folder) / "models")}, "data_dir": str(Path(folder) / "data"),
            "server": {"http": {"address": "127.0.0.1:18400"}, "grpc": {"address": "none"}}, "admin": {"address": "127.0.0.1:18402"},
            "routes": {"digits": {"variants": [{"version": 1, "weight": "100%"}]}},
        }))
        url, admin = "http://127.0.0.1:18400", "http://127.0.0.1:18402"
        with (Path(folder) / "log").open("w") as log, subprocess.Popen([args.gateway, "serve", "-c", str(config)], stderr=log, stdout=log) as gateway:
            try:
                deadline = time.monotonic() + 60
                while True:
                    try:
                        ask(url + "/v2/models/digits")
                        break
                    except OSError:
                        if time.monotonic() > deadline or gateway.poll() is not None:
                            raise SystemExit((Path(folder) / "log").read_text()) from None
                        time.sleep(0.2)
                traffic = Traffic(url, rows, labels, args.rate)
                try:
                    time.sleep(5)
                    results = {version: roll_out(admin, version, traffic) for version in CANDIDATES}
                finally:
                    traffic.stop()
            finally:
                gateway.terminate()
        text = page(accuracy, args.rate, results, traffic.failed)
    print(text)
    if args.out:
        Path(args.out).write_text(text)
    states = [results[v]["state"] for v in CANDIDATES]
    if states != ["ROLLED_BACK", "COMPLETED"]:
        raise SystemExit(f"expected a rollback and a completed rollout, got {states}")


if __name__ == "__main__":
    main()
