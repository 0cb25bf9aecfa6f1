"""Models of scikit-learn, LightGBM, XGBoost and PyTorch, and the answers that their own libraries gave."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from clients import Client, Request, Tensor
from expect import plain, same
from gateway import EXAMPLES, KINDS, ROOT
from test_tensors import NUMPY


def numbers(values: list, datatype: str) -> np.ndarray:
    """Return nested lists as an array; null is NaN."""
    if datatype == "BYTES":
        return np.vectorize(str.encode, otypes=[np.object_])(np.array(values))
    return np.array(values, np.float64 if NUMPY[datatype] in (np.float32, np.float64) else None).astype(NUMPY[datatype])


def close(got: np.ndarray, want: list, relative: float, absolute: float) -> None:
    if got.dtype == np.object_:
        same(plain(got), np.vectorize(str.encode, otypes=[np.object_])(np.array(want)).tolist())
        return
    same(got.shape, np.shape(want))
    assert np.allclose(got, np.array(want, np.float64), rtol=relative, atol=absolute), (got.ravel()[:4], np.ravel(want)[:4])


@pytest.mark.parametrize("model", ["breast_cancer-1", "diabetes-1", "digits-1", "iris-3"])
def test_golden(client: Client, model: str):
    """Models: the demo models, with their recorded answers"""
    golden = json.loads((ROOT / "testdata" / "golden" / f"{model}.json").read_text())
    for case in golden["cases"]:
        inputs = [
            Tensor(i["name"], i["datatype"], np.array(i["data"], NUMPY[i["datatype"]]).reshape(i["shape"])) for i in case["request"]["inputs"]
        ]
        answer = client.infer(Request(golden["model"], inputs))
        for output in case["outputs"]:
            want = np.reshape(output["data"], output["shape"]).tolist()
            close(answer.outputs[output["name"]], want, golden["tolerance"]["relative"], golden["tolerance"]["absolute"])


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(client: Client, example: str):
    """Models: the examples, with the answers of the libraries that trained them"""
    recorded = json.loads((ROOT / "examples" / example / "answers.json").read_text())
    graph = onnx.load(ROOT / "examples" / example / "1" / "model.onnx").graph
    names = {kind: name for name, kind in KINDS.items()}
    datatypes = {entry.name: names[entry.type.tensor_type.elem_type] for entry in graph.input}
    inputs = [Tensor(name, datatypes[name], numbers(values, datatypes[name])) for name, values in recorded["inputs"].items()]
    answer = client.infer(Request(example, inputs))
    for name, want in recorded["outputs"].items():
        close(answer.outputs[name], want, recorded["tolerance"], recorded["tolerance"])
