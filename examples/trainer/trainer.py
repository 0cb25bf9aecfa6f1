"""Trains a successor of a classifier for the gateway: reads the document, trains on captured rows with labels, pushes the best model.

The gateway starts it for each request (retrain.trainer: exec). docs/retraining.md describes the document and the calls.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import numpy as np
import optuna
import pyarrow.parquet as pq
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, log_loss

MIN_ROWS = 100
TOKEN = os.environ.get("SLUICE_TOKEN")  # of a standing caller, if the document has none


def call(method: str, url: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """Sends a request to the gateway. An answer other than 2xx is an error with the gateway's reason."""
    request = urllib.request.Request(url, data=body or None, method=method, headers={"Content-Type": kind})
    if TOKEN:
        request.add_header("Authorization", "Bearer " + TOKEN)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()
    except urllib.error.HTTPError as e:
        raise RuntimeError(f"{method} {url}: {e.code} {e.read().decode(errors='replace')}") from e


def rows_of(doc: dict) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels of the rows to train on, the oldest first: labelled, before the holdout, since the change if they suffice."""
    if doc["data"].get("problem"):
        raise RuntimeError("no data: " + doc["data"]["problem"])
    table = pq.read_table(io.BytesIO(call("GET", doc["data"]["export"])))
    if len(doc["parent"]["inputs"]) != 1:
        raise RuntimeError("this trainer is for models with one input")
    name = doc["parent"]["inputs"][0]["name"]
    at = np.array([t.timestamp() for t in table["time"].to_pylist()])
    labels = np.array([x if x is not None else "" for x in table["label"].to_pylist()])
    usable = (labels != "") & (at < seconds(doc["data"]["holdout"]))
    changed = usable & (at >= seconds(doc["data"]["changed"]))
    print(f"{len(at)} captured rows, {usable.sum()} with labels before the holdout, {changed.sum()} of them since the change")
    chosen = changed if changed.sum() >= MIN_ROWS else usable
    if chosen.sum() < MIN_ROWS:
        raise RuntimeError(f"{chosen.sum()} rows with labels are too few, expected {MIN_ROWS}")
    order = np.argsort(at[chosen], kind="stable")
    x = np.array(table["in." + name].to_pylist(), dtype=np.float32)
    y = labels[chosen][order]
    if all(t.lstrip("-").isdigit() for t in set(y)):  # the classes are numbers
        y = y.astype(np.int64)
    return x.reshape(len(at), -1)[chosen][order], y


def seconds(text: str) -> float:
    """Returns a time as seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def search(doc: dict, x: np.ndarray, y: np.ndarray) -> tuple[dict, list[dict]]:
    """Tries combinations of the grid on the first three quarters of the rows, and scores them on the last one."""
    cut = len(y) * 3 // 4
    grid = doc["grid"] or {"n_estimators": [100]}
    trials = []

    def score(trial: optuna.Trial) -> float:
        parameters = {name: trial.suggest_categorical(name, values) for name, values in sorted(grid.items())}
        model = RandomForestClassifier(random_state=doc["seed"], n_jobs=1, **parameters).fit(x[:cut], y[:cut])
        metrics = {"accuracy": accuracy_score(y[cut:], model.predict(x[cut:]))}
        if set(y[cut:]) <= set(model.classes_):
            metrics["log_loss"] = log_loss(y[cut:], model.predict_proba(x[cut:]), labels=model.classes_)
        trials.append({"parameters": parameters, "metrics": metrics})
        print(f"trial {len(trials)}: {parameters} {metrics}", flush=True)
        report = {"progress": min(len(trials) / (doc["trials"] + 1), 1), "message": f"trial {len(trials)}: {doc['metric']} {metrics[doc['metric']]:.4f}"}
        call("POST", doc["calls"]["progress"], json.dumps(report).encode())
        return metrics[doc["metric"]]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = "minimize" if doc["metric"] == "log_loss" else "maximize"
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.GridSampler(grid, seed=doc["seed"]))
    study.optimize(score, n_trials=doc["trials"], timeout=budget(doc["budget"]))
    trials[study.best_trial.number]["chosen"] = True
    return study.best_trial.params, trials


def budget(text: str) -> float:
    """Returns the seconds of a duration such as 1h30m0s."""
    total, number = 0.0, ""
    units = {"h": 3600, "m": 60, "s": 1}
    for c in text:
        if c in units:
            total, number = total + float(number) * units[c], ""
        else:
            number += c
    return total


def export(doc: dict, model: RandomForestClassifier, width: int) -> bytes:
    """Converts the model to ONNX with the names and the operator set of its parent."""
    parent = doc["parent"]
    onnx_model = to_onnx(
        model,
        initial_types=[(parent["inputs"][0]["name"], FloatTensorType([None, width]))],
        final_types=None,
        options={id(model): {"zipmap": False, "output_class_labels": False}},
        target_opset={"": min(parent["opsets"].get("ai.onnx", 21), 21), "ai.onnx.ml": 3},
    )
    renamed = dict(zip([o.name for o in onnx_model.graph.output], [o["name"] for o in parent["outputs"]]))
    for node in onnx_model.graph.node:
        node.output[:] = [renamed.get(n, n) for n in node.output]
        node.input[:] = [renamed.get(n, n) for n in node.input]
    for output in onnx_model.graph.output:
        output.name = renamed[output.name]
    return onnx_model.SerializeToString()


def profile(doc: dict, model: bytes, x: np.ndarray) -> bytes | None:
    """Makes the profile with which the new version is compared later, if SLUICE_GATEWAY names the gateway's program."""
    gateway = os.environ.get("SLUICE_GATEWAY")
    if not gateway:
        return None
    name = doc["parent"]["inputs"][0]["name"]
    with tempfile.TemporaryDirectory() as folder:
        rows, file = Path(folder, "rows.csv"), Path(folder, "model.onnx")
        file.write_bytes(model)
        np.savetxt(rows, x, delimiter=",", header=",".join(f"{name}[{i}]" for i in range(x.shape[1])), comments="", fmt="%.9g")
        return subprocess.run([gateway, "profile", "build", rows, "--model-file", file, "--header", "yes"], check=True, stdout=subprocess.PIPE).stdout


def record(doc: dict, model: bytes, trials: list[dict]) -> tuple[str, str] | None:
    """Records the search in MLflow if MLFLOW_TRACKING_URI is set: a run with the model, and below it a run for each trial.
    Returns the id of the run and the address of its page. If the server fails, the training goes on without it."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    import mlflow.onnx  # takes seconds, and is not needed without a server
    import onnx

    best = next(t for t in trials if t.get("chosen"))
    try:
        experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "sluice-" + doc["model"]))
        tags = {"sluice.retraining": doc["id"], "sluice.model": doc["model"], "sluice.parent": str(doc["parent"]["version"])}
        with mlflow.start_run(run_name="retraining " + doc["id"], tags=tags) as run:
            mlflow.log_params(best["parameters"] | {"seed": doc["seed"], "data": doc["data"]["manifest"]})
            mlflow.log_metrics(best["metrics"])
            for number, trial in enumerate(trials, 1):
                with mlflow.start_run(run_name=f"trial {number}", nested=True, tags=tags | {"sluice.chosen": str(trial is best).lower()}):
                    mlflow.log_params(trial["parameters"])
                    mlflow.log_metrics(trial["metrics"])
            mlflow.onnx.log_model(onnx.load_from_string(model), name="model", pip_requirements=["onnx", "onnxruntime"])
    except mlflow.exceptions.MlflowException as e:
        print(f"not recorded in MLflow: {e}", flush=True)
        return None
    page = f"{mlflow.get_tracking_uri().rstrip('/')}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
    print("recorded in MLflow: " + page, flush=True)
    return run.info.run_id, page


def name_version(run: str, info: dict) -> None:
    """Tells MLflow which version the run has become."""
    import mlflow

    try:
        mlflow.MlflowClient().set_tag(run, "sluice.version", f"{info['model']}/{info['version']}")
    except mlflow.exceptions.MlflowException as e:
        print(f"not noted in MLflow: {e}", flush=True)


def push(doc: dict, model: bytes, shape: bytes | None, trials: list[dict], run: str) -> dict:
    """Pushes the version with its lineage. run is where the training is recorded."""
    best = next(t for t in trials if t.get("chosen"))
    lineage = {
        "retrain": doc["id"], "parent": doc["parent"]["version"], "data_snapshot": doc["data"]["manifest"],
        "code_revision": "sha256:" + hashlib.sha256(Path(__file__).read_bytes()).hexdigest(), "run": run,
        "metrics": best["metrics"], "parameters": {k: str(v) for k, v in best["parameters"].items()}, "trials": trials,
    }
    files = {"model.onnx": model, "sluice.json": json.dumps({"lineage": lineage}).encode()}
    if shape:
        files["profile.json"] = shape
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return json.loads(call("POST", doc["calls"]["push"], archive.getvalue(), "application/octet-stream"))


def main() -> None:
    global TOKEN
    doc = json.load(sys.stdin)
    TOKEN = doc.pop("token", None) or TOKEN
    began = time.time()
    try:
        x, y = rows_of(doc)
        parameters, trials = search(doc, x, y)
        model = RandomForestClassifier(random_state=doc["seed"], n_jobs=1, **parameters).fit(x, y)
        text = export(doc, model, x.shape[1])
        recorded = record(doc, text, trials)
        page = recorded[1] if recorded else doc["id"]
        info = push(doc, text, profile(doc, text, x[len(x) // 2:]), trials, page)  # the profile is of the newest rows
        if recorded:
            name_version(recorded[0], info)
    except Exception as e:
        traceback.print_exc()
        call("POST", doc["calls"]["fail"], json.dumps({"reason": str(e)[:1000]}).encode())
        sys.exit(1)
    print(f"version {info['version']} of {info['model']} is registered after {time.time() - began:.1f} s: {info['record']['digest']}")


if __name__ == "__main__":
    main()
