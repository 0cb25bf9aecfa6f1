"""Checks a gateway against a real MLflow server: versions are imported from its registry, and the example trainer records its trials there.

    python scripts/mlflow-check.py

Needs bin/gateway and the packages of scripts/requirements-mlflow.txt. It starts servers of its own on free ports, and removes everything at the end.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent
GATEWAY = ROOT / "bin" / "gateway"
os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}

CONFIG = """
data_dir: {folder}/data
repository: {{path: {folder}/models}}
registry: {{mlflow: {{url: "{mlflow}", timeout: 20s, token: "${{MLFLOW_TOKEN}}"}}, import_roots: {roots}}}
server: {{http: {{address: "127.0.0.1:0"}}, grpc: {{address: none}}}}
admin: {{address: "127.0.0.1:0"}}
capture: {{rotate_age: 1s}}
log: {{format: json}}
models:
  tumor:
    labels: {{sample: 100%, task: classification, output: probabilities}}
    capture: {{sample: 100%}}
    retrain:
      trainer: exec
      timeout: 5m
      exec: {{command: ["{python}", "{trainer}"], env: [PATH, LANG, LD_LIBRARY_PATH, MLFLOW_TRACKING_URI, MLFLOW_DISABLE_TELEMETRY, GIT_PYTHON_REFRESH]}}
      holdout: 0.3
      parameters: {{n_estimators: ["5", "20"], max_depth: ["2", "6"]}}
      trials: 3
"""


def wait(holds, what: str, seconds: float = 300):
    """Returns what holds does as soon as it is not false."""
    end = time.time() + seconds
    while time.time() < end:
        if got := holds():
            return got
        time.sleep(0.1)
    raise SystemExit(f"it did not happen within {seconds:.0f} s: {what}")


def ask(method: str, url: str, body=None, headers=None):
    request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode(), headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else {}
    except urllib.error.HTTPError as e:
        raise RuntimeError(f"{method} {url}: {e.code} {e.read().decode()}") from e


class Server:
    """A process that is stopped at the end."""

    def __init__(self, log: Path, *command: str | Path, **env: str) -> None:
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | env)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, failed, *_) -> None:
        self.stop()
        if failed:
            print(f"== {self.log.name}\n" + self.log.read_text()[-6000:], file=sys.stderr)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def running(self) -> None:
        if self.process.poll() is not None:
            raise SystemExit(f"it has ended:\n{self.log.read_text()[-4000:]}")


class MLflow(Server):
    def __init__(self, folder: Path, name: str, *options: str) -> None:
        with socket.socket() as s:  # the port stays free, most likely
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        self.url = "http://127.0.0.1:" + port
        super().__init__(
            folder / (name + ".log"), sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1",
            "--backend-store-uri", f"sqlite:///{folder}/{name}.db", *options,
        )

    def healthy(self) -> bool:
        self.running()
        try:
            return urllib.request.urlopen(self.url + "/health", timeout=5).read() == b"OK"
        except OSError:
            return False


class Gateway(Server):
    def __init__(self, folder: Path, mlflow: str, *roots: Path) -> None:
        config = folder / "sluice.yaml"
        config.write_text(CONFIG.format(folder=folder, mlflow=mlflow, roots=json.dumps([str(r) for r in roots]), python=sys.executable, trainer=ROOT / "examples" / "trainer" / "trainer.py"))
        super().__init__(folder / "gateway.log", GATEWAY, "serve", "--config", config, MLFLOW_TOKEN="a-token-for-mlflow", MLFLOW_TRACKING_URI=mlflow)
        entry = wait(self.listening, "the gateway listens")
        self.http, self.admin = "http://" + entry["http"], "http://" + entry["admin"]

    def listening(self) -> dict | None:
        self.running()
        lines = [line for line in self.log.read_text().splitlines() if '"listening"' in line]
        return json.loads(lines[0]) if lines else None

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([GATEWAY, *arguments], env=os.environ | {"SLUICE_ADMIN": self.admin, "SLUICE_DATA": self.http}, capture_output=True, text=True)

    def imported(self, model: str, reference: str, *flags: str) -> dict:
        done = self.run("models", "import", model, reference, "-o", "json", *flags)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def refused(self, model: str, reference: str, text: str) -> None:
        before = ask("GET", f"{self.admin}/api/v1/models")
        done = self.run("models", "import", model, reference)
        assert done.returncode != 0 and text in done.stderr, (text, done)
        assert ask("GET", f"{self.admin}/api/v1/models") == before
        print(f"refused {reference}: {done.stderr.strip()}")

    def infer(self, model: str, x: np.ndarray, identifier: str = "") -> dict[str, list]:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": x.ravel().tolist()}]}
        answer = ask("POST", f"{self.http}/v2/models/{model}/infer", body, {"X-Request-Id": identifier} if identifier else {})
        return {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in answer["outputs"]}

    def serve(self, model: str, version: int) -> None:
        done = self.run("aliases", "set", model, "champion", str(version), "--reason", "checked")
        assert done.returncode == 0, done


def converted(model, width: int) -> onnx.ModelProto:
    return to_onnx(model, initial_types=[("x", FloatTensorType([None, width]))], options={id(model): {"zipmap": False}}, target_opset={"": 21, "ai.onnx.ml": 3})


def wide() -> tuple[onnx.ModelProto, np.ndarray]:
    """Returns a model whose weights are large enough for a file of their own, and the weights."""
    weights = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "wide", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 8])], [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), weights


def fill(url: str) -> None:
    """Logs and registers models: flowers 1 as ONNX, flowers 2 as scikit-learn, wide 1 with external data."""
    import mlflow.onnx
    import mlflow.sklearn

    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("flowers")
    x, y = load_iris(return_X_y=True)
    needs = {"pip_requirements": ["onnx"]}  # otherwise MLflow loads each model in another process to find them
    client = mlflow.MlflowClient()
    with mlflow.start_run(tags={"stage": "trial", "team": "of the run"}) as run:
        model = LogisticRegression(max_iter=500, C=0.5).fit(x, y)
        mlflow.log_params({"C": 0.5, "max_iter": 500})
        mlflow.log_metrics({"accuracy": model.score(x, y), "broken": float("nan")})
        mlflow.log_input(mlflow.data.from_numpy(x, name="iris", digest="d1"))
        mlflow.onnx.log_model(converted(model, 4), name="model", registered_model_name="flowers", **needs)
        mlflow.sklearn.log_model(model, name="plain", registered_model_name="flowers", **needs)
        mlflow.onnx.log_model(wide()[0], name="wide", registered_model_name="wide", **needs)
    client.set_registered_model_alias("flowers", "champion", 1)
    client.set_model_version_tag("flowers", "1", "team", "flowers")
    client.update_model_version("flowers", "1", description="of petals\nand sepals")
    fill.model, fill.run = model, run.info.run_id


def check_imports(gateway: Gateway, url: str) -> None:
    x = load_iris().data.astype(np.float32)
    info = gateway.imported("flowers", "models:/flowers/1")
    lineage, tags = info["record"]["lineage"], info["record"]["tags"]
    assert info["version"] == 1 and info["state"] == "REGISTERED", info
    assert lineage["run"] == fill.run and lineage["source"] == url + "/#/models/flowers/versions/1", lineage
    assert lineage["parameters"] == {"C": "0.5", "max_iter": "500"} and list(lineage["metrics"]) == ["accuracy"], lineage
    assert lineage["data_snapshot"].startswith("iris@d1"), lineage
    assert tags == {"stage": "trial", "team": "flowers"} and info["record"]["card"] == {"description": "of petals and sepals"}, info
    gateway.serve("flowers", 1)
    got = gateway.infer("flowers", x)
    assert np.array_equal(got["label"], fill.model.predict(x)), got
    assert np.allclose(got["probabilities"], fill.model.predict_proba(x), atol=1e-5), got
    print("flowers 1 answers as the model in Python does, on 150 rows")

    again = gateway.imported("flowers", "models:/flowers@champion", "--tag", "team=mine", "--version", "7")
    assert again["version"] == 7 and again["record"]["digest"] == info["record"]["digest"] and again["record"]["tags"]["team"] == "mine", again
    model, weights = wide()
    info = gateway.imported("wide", "models:/wide/1")
    gateway.serve("wide", 1)
    rows = np.random.default_rng(2).normal(size=(5, 64)).astype(np.float32)
    assert np.allclose(gateway.infer("wide", rows)["y"], rows @ weights, atol=1e-4)
    assert info["record"]["size"] > weights.nbytes, info
    print("wide 1, with external data, answers as numpy does")

    gateway.refused("flowers", "models:/flowers/2", "mlflow.onnx.log_model")
    gateway.refused("flowers", "models:/flowers/9", "not found")
    gateway.refused("flowers", "models:/flowers@nobody", "nobody")
    gateway.refused("flowers", "models:/nothing/1", "not found")
    gateway.refused("flowers", "models:/flowers/Production", "Stages of MLflow")


def check_trainer(gateway: Gateway, url: str) -> None:
    """Has a successor trained, and looks for the trials in MLflow."""
    import mlflow

    data = load_breast_cancer()
    x, y = data.data.astype(np.float32), data.target
    folder = gateway.log.parent
    file = folder / "tumor.onnx"
    file.write_bytes(converted(RandomForestClassifier(n_estimators=3, random_state=1).fit(x, y), x.shape[1]).SerializeToString())
    assert gateway.run("models", "push", "tumor", str(file)).returncode == 0
    gateway.serve("tumor", 1)
    labels = []
    for number, at in enumerate(range(0, 500, 10)):
        gateway.infer("tumor", x[at:at + 10], f"r{number}")
        labels += [{"request_id": f"r{number}", "row": i, "label": int(label)} for i, label in enumerate(y[at:at + 10])]
    ask("POST", f"{gateway.http}/v2/models/tumor/labels", {"labels": labels})
    wait(lambda: sum(f["rows"] for f in ask("GET", f"{gateway.admin}/api/v1/capture/tumor")) >= 500, "the rows are captured")
    done = gateway.run("retrain", "request", "tumor", "--reason", "checked", "-o", "json")
    assert done.returncode == 0, done

    def ended() -> dict | None:
        r = ask("GET", f"{gateway.admin}/api/v1/retrainings?model=tumor")[0]
        return r if r["state"] in ("finished", "failed", "expired", "rejected") else None

    r = wait(ended, "the retraining ends")
    log = urllib.request.urlopen(f"{gateway.admin}/api/v1/signals/{r['id']}/log").read().decode()
    assert r["state"] == "finished" and r["candidate"] == 2, (r, log)
    lineage = ask("GET", f"{gateway.admin}/api/v1/models/tumor/versions/2")["record"]["lineage"]
    assert lineage["retrain"] == r["id"] and lineage["run"].startswith(url + "/#/experiments/"), (lineage, log)
    mlflow.set_tracking_uri(url)
    client = mlflow.MlflowClient()
    run = client.get_run(lineage["run"].rsplit("/", 1)[1])
    assert run.data.tags["sluice.retraining"] == r["id"] and run.data.tags["sluice.version"] == "tumor/2", run
    trials = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert len(trials) == len(lineage["trials"]) == 3, (trials, lineage)
    chosen = [t for t in trials if t.data.tags["sluice.chosen"] == "true"]
    assert len(chosen) == 1 and chosen[0].data.params == lineage["parameters"], (chosen, lineage)
    assert all(t.data.metrics["accuracy"] > 0.5 for t in trials) and run.data.metrics == lineage["metrics"], (run, lineage)
    print(f"a retraining of tumor is run {run.info.run_id} in MLflow, with {len(trials)} trials")
    # What the trainer logged is the version that it pushed.
    models = client.search_logged_models([run.info.experiment_id])
    mlflow.register_model(models[0].model_uri, "tumor")
    info = gateway.imported("imported", "models:/tumor/1")
    gateway.serve("imported", info["version"])
    gateway.serve("tumor", 2)
    assert np.allclose(gateway.infer("imported", x[:50])["probabilities"], gateway.infer("tumor", x[:50])["probabilities"], atol=1e-6)
    print("the model in MLflow answers as the version that the trainer pushed")


def check_folder(folder: Path) -> None:
    """A server that keeps artifacts in a folder and does not serve them."""
    kept = folder / "kept"
    kept.mkdir()
    (folder / "second" / "models").mkdir(parents=True)
    with MLflow(folder, "folder", "--no-serve-artifacts", "--default-artifact-root", str(kept)) as server:
        wait(server.healthy, "the second MLflow server is ready")
        fill(server.url)
        with Gateway(folder / "second", server.url, kept) as gateway:
            gateway.imported("flowers", "models:/flowers/1")
            gateway.imported("wide", "models:/wide/1")
    print("versions are imported from a folder too")


def main() -> None:
    began = time.time()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "models").mkdir()
        with MLflow(folder, "mlflow", "--artifacts-destination", str(folder / "served")) as server:
            wait(server.healthy, "the MLflow server is ready")
            print(f"{time.time() - began:.1f} s: the MLflow server is ready")
            fill(server.url)
            print(f"{time.time() - began:.1f} s: models are registered")
            with Gateway(folder, server.url) as gateway:
                check_imports(gateway, server.url)
                print(f"{time.time() - began:.1f} s: imports are checked")
                check_trainer(gateway, server.url)
                print(f"{time.time() - began:.1f} s: the trainer is checked")
                server.stop()
                gateway.refused("flowers", "models:/flowers/1", "cannot be reached")
                gateway.infer("flowers", load_iris().data[:1].astype(np.float32))
        check_folder(folder)
    print(f"checked in {time.time() - began:.1f} s")


if __name__ == "__main__":
    main()
