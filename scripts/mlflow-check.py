"""Checks a gateway against a real MLflow server: versions are imported from its registry.

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
from sklearn.datasets import load_iris
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
log: {{format: json}}
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
        config.write_text(CONFIG.format(folder=folder, mlflow=mlflow, roots=json.dumps([str(r) for r in roots])))
        super().__init__(folder / "gateway.log", GATEWAY, "serve", "--config", config, MLFLOW_TOKEN="a-token-for-mlflow")
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
                server.stop()
                gateway.refused("flowers", "models:/flowers/1", "cannot be reached")
                gateway.infer("flowers", load_iris().data[:1].astype(np.float32))
        check_folder(folder)
    print(f"checked in {time.time() - began:.1f} s")


if __name__ == "__main__":
    main()
