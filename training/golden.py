"""Writes testdata/golden/<model>-<version>.json: held-out rows and what Python onnxruntime answers for them."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnxruntime

import datasets
from train import RECIPES, Recipe

GOLDEN = Path(__file__).resolve().parent.parent / "testdata" / "golden"
ROWS = 16
# |got - want| <= absolute + relative * |want|. Float32 carries about seven digits; runs of other
# batch sizes and on other CPUs were seen to differ by up to 1.2e-7 in probabilities near 1.
TOLERANCE = {"absolute": 1e-6, "relative": 1e-5}
DATATYPES = {np.dtype(np.float32): "FP32", np.dtype(np.int64): "INT64"}


def _tensor(name: str, array: np.ndarray) -> dict:
    """Returns a V2 JSON tensor. Floats are the shortest text that reads back as the same float32."""
    flat = array.ravel()
    data = [float(str(v)) for v in flat] if array.dtype == np.float32 else flat.tolist()
    return {"name": name, "datatype": DATATYPES[array.dtype], "shape": list(array.shape), "data": data}


def _case(name: str, session: onnxruntime.InferenceSession, rows: np.ndarray) -> dict:
    outputs = [o.name for o in session.get_outputs()]
    answers = session.run(outputs, {"input": rows})
    return {
        "name": name,
        "request": {"id": name, "inputs": [_tensor("input", rows)]},
        "outputs": [_tensor(output, answer) for output, answer in zip(outputs, answers)],
    }


def _document(recipe: Recipe) -> dict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(recipe.path), options, providers=["CPUExecutionProvider"])
    held_out = datasets.load(recipe.model).test_x
    return {
        "model": recipe.model,
        "version": recipe.version,
        "file_sha256": hashlib.sha256(recipe.path.read_bytes()).hexdigest(),
        "computed_by": f"Python onnxruntime {onnxruntime.__version__}, CPUExecutionProvider",
        "tolerance": TOLERANCE,
        "cases": [
            _case(f"{ROWS}_rows", session, held_out[:ROWS]),
            _case("single_row", session, held_out[ROWS : ROWS + 1]),
        ],
    }


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        text = json.dumps(_document(recipe), indent=2)
        # A list of numbers stands on one line.
        text = re.sub(r"\[[\s\d.,e+-]+\]", lambda m: f"[{' '.join(m[0][1:-1].split())}]", text)
        path = GOLDEN / f"{recipe.model}-{recipe.version}.json"
        path.write_text(text + "\n")
        print(f"{path.name}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
