"""Writes models/<model>/1/model.onnx, classifiers as converters write them by default, with a ZipMap, and
golden/<model>-1.json, what Python onnxruntime answers to the unchanged files: the numbers of its maps, by column."""

import hashlib
import json
import re
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import onnxruntime
import xgboost
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
TOLERANCE = {"absolute": 1e-6, "relative": 1e-5}  # as in testdata/golden
STEP = 11  # every so many rows of the data set are asked


def _sklearn_strings(x: np.ndarray, y: np.ndarray) -> onnx.ModelProto:
    names = load_iris().target_names[y].astype(str)
    return to_onnx(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, names), x[:1])


def _sklearn_integers(x: np.ndarray, y: np.ndarray) -> onnx.ModelProto:
    return to_onnx(LogisticRegression().fit(x, 10 * y - 10), x[:1])


def _lightgbm(x: np.ndarray, y: np.ndarray) -> onnx.ModelProto:
    model = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=4, verbose=-1, n_jobs=1, random_state=1).fit(x, y)
    inputs = [("input", FloatTensorType([None, x.shape[1]]))]
    return convert_lightgbm(model, initial_types=inputs, target_opset=15)


def _xgboost(x: np.ndarray, y: np.ndarray) -> onnx.ModelProto:
    """XGBoost in a pipeline, converted as the documentation of skl2onnx says; onnxmltools writes no ZipMap for it."""
    update_registered_converter(
        xgboost.XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        convert_xgboost,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=2, n_jobs=1, random_state=1).fit(x, (y == 2).astype(int))
    return to_onnx(model, x[:1], target_opset={"": 15, "ai.onnx.ml": 3})


def _tensor(name: str, array: np.ndarray) -> dict:
    """Returns a V2 JSON tensor. Floats are the shortest text that reads back as the same float32."""
    datatype = {np.dtype(np.float32): "FP32", np.dtype(np.int64): "INT64"}[array.dtype]
    flat = array.ravel()
    data = [float(str(v)) for v in flat] if datatype == "FP32" else flat.tolist()
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}


def _case(name: str, session: onnxruntime.InferenceSession, labels: list, rows: np.ndarray) -> dict:
    """Asks for the probabilities, and for the class if it is not a string."""
    want = [o.name for o in session.get_outputs() if o.type.startswith("seq") or o.type == "tensor(int64)"]
    tensors = []
    for output, answer in zip(want, session.run(want, {session.get_inputs()[0].name: rows})):
        if isinstance(answer, list):
            answer = np.array([[row[label] for label in labels] for row in answer], np.float32)
        tensors.append(_tensor(output, answer))
    request = {"inputs": [_tensor(session.get_inputs()[0].name, rows)], "outputs": [{"name": output} for output in want]}
    return {"name": name, "request": request, "outputs": tensors}


def _labels(model: onnx.ModelProto) -> list:
    zipmap = next(n for n in model.graph.node if n.op_type == "ZipMap")
    values = onnx.helper.get_attribute_value(zipmap.attribute[0])
    return [v.decode() if isinstance(v, bytes) else v for v in values]


def main() -> None:
    warnings.simplefilter("ignore")
    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    rows = x[::STEP]
    for make in (_sklearn_strings, _sklearn_integers, _lightgbm, _xgboost):
        name = make.__name__[1:]
        model = make(x, y)
        model.graph.name = name  # converters write a random one
        path = HERE / "models" / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        labels = _labels(model)
        document = {
            "model": name,
            "version": 1,
            "file_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "computed_by": f"Python onnxruntime {onnxruntime.__version__}, CPUExecutionProvider",
            "labels": [str(label) for label in labels],
            "tolerance": TOLERANCE,
            "cases": [
                _case(f"{len(rows)}_rows", session, labels, rows),
                _case("single_row", session, labels, rows[-1:]),
            ],
        }
        text = json.dumps(document, indent=2)
        text = re.sub(r"\[[\s\d.,e+-]+\]", lambda m: f"[{' '.join(m[0][1:-1].split())}]", text)
        golden = HERE / "golden" / f"{name}-1.json"
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text + "\n")
        print(f"{name}  {path.stat().st_size} bytes  {labels}")


if __name__ == "__main__":
    main()
