"""Clients that have rows instead of tensors: those of TensorFlow Serving, KServe V1, MLflow and SageMaker."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from clients import Client
from expect import refused, same
from gateway import COLUMNS, ROOT

GOLDEN = json.loads((ROOT / "testdata" / "golden" / "diabetes-1.json").read_text())["cases"][0]
ROWS = np.reshape(GOLDEN["request"]["inputs"][0]["data"], (-1, 10)).tolist()
WANT = np.array(GOLDEN["outputs"][0]["data"])


def predicted(got: list) -> None:
    assert np.allclose(np.ravel(got), WANT, rtol=1e-4), (np.ravel(got)[:3], WANT[:3])


def test_v1_rows(client: Client):
    """Rows: V1, rows in `instances`"""
    predicted(client.v1("/diabetes:predict", {"instances": ROWS})["predictions"])
    named = [{"age": [31.0], "visits": [3], "name": ["ann"]}, {"age": [47.5], "visits": [-1], "name": ["bob"]}]
    got = client.v1("/person:predict", {"signature_name": "serving_default", "instances": named})["predictions"]
    same(got, [{f"{name}_out": value for name, value in row.items()} for row in named])


def test_v1_columns(client: Client):
    """Rows: V1, columns in `inputs`"""
    predicted(client.v1("/diabetes:predict", {"inputs": {"input": ROWS}})["outputs"])
    predicted(client.v1("/diabetes:predict", {"inputs": ROWS})["outputs"])


def test_v1_base64(client: Client):
    """Rows: V1, bytes as base64 both ways"""
    blobs = [{"b64": base64.b64encode(blob).decode()} for blob in (b"\xff\x00", b"", "ö".encode())]
    same(client.v1("/blob:predict", {"instances": blobs})["predictions"], blobs)
    same(client.v1("/blob:predict", {"instances": ["text"]})["predictions"], [{"b64": base64.b64encode(b"text").decode()}])


def test_v1_errors(client: Client):
    """Rows: V1, errors with their codes"""
    with refused("NOT_FOUND", "absent"):
        client.v1("/absent:predict", {"instances": [[1]]})
    with refused("INVALID_ARGUMENT", ""):
        client.v1("/diabetes:predict", {"instances": [[1]]})


def test_v1_versions(client: Client):
    """Rows: V1, versions, status and metadata"""
    flower = {"instances": [[6.4, 3.2, 4.5, 1.5]]}
    assert client.v1("/iris/versions/1:predict", flower) != client.v1("/iris/versions/2:predict", flower)
    status = client.v1("/iris")
    assert {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}} in status["model_version_status"]
    same(status["ready"], True)
    same([entry["version"] for entry in client.v1("/iris/versions/1")["model_version_status"]], ["1"])
    inputs = client.v1("/iris/metadata")["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    same([dim["size"] for dim in inputs["input"]["tensor_shape"]["dim"]], ["-1", "4"])


def test_v1_labels(client: Client):
    """Rows: V1, labels instead of versions"""
    flower = {"instances": [[6.4, 3.2, 4.5, 1.5]]}
    same(client.v1("/iris/labels/steady:predict", flower), client.v1("/iris/versions/1:predict", flower))
    same([entry["version"] for entry in client.v1("/iris/labels/steady")["model_version_status"]], ["1"])
    same(client.v1("/iris/labels/steady/metadata"), client.v1("/iris/versions/1/metadata"))
    with refused("NOT_FOUND", "absent"):
        client.v1("/iris/labels/absent:predict", flower)


@pytest.mark.parametrize("document", [
    pytest.param({"dataframe_split": {"columns": COLUMNS, "index": list(range(len(ROWS))), "data": ROWS}}, id="dataframe_split"),
    pytest.param({"dataframe_records": [dict(zip(COLUMNS, row)) for row in ROWS]}, id="dataframe_records"),
    pytest.param({"instances": ROWS}, id="instances"),
    pytest.param({"inputs": ROWS}, id="inputs"),
    pytest.param({"inputs": {name: [row[i] for row in ROWS] for i, name in enumerate(COLUMNS)}}, id="inputs_by_name"),
])  # fmt: skip
def test_invocations(client: Client, document: dict):
    """Rows: `/invocations` with `dataframe_split`, `dataframe_records`, `instances` and `inputs`"""
    predicted(client.invocations(document)["predictions"])


def test_invocations_csv(client: Client):
    """Rows: `/invocations` with CSV, as SageMaker"""
    text = "\n".join(",".join(map(str, row)) for row in [COLUMNS, *ROWS])
    predicted(client.invocations_csv(text)["predictions"])


def test_mlflow(client: Client):
    """Rows: `/invocations` with a DataFrame, an array and lists, by MLflow's scoring client"""
    for got in client.invocations_of_frames(ROWS, COLUMNS):
        predicted(got)


def test_predict(client: Client):
    """Rows: a table with `…/predict`"""
    predicted([row["prediction"] for row in client.predict("diabetes", [dict(zip(COLUMNS, row)) for row in ROWS])])
