"""What ONNX Runtime in Python says: the right answers, and whether rows of a model may be joined."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from . import data
from .table import Model

DTYPES = {
    "float": np.float32, "double": np.float64, "float16": np.float16, "bool": np.bool_,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
}
ROUNDS = 4  # of different data, to find out whether rows may be joined


@dataclass(frozen=True)
class Case:
    """One request and its answer."""

    rows: int
    sizes: dict[str, int]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    def __str__(self) -> str:
        return " ".join([f"rows={self.rows}", *(f"{k}={v}" for k, v in self.sizes.items())])


class Reference:
    """A model in ONNX Runtime, with one thread for a run, as the gateway has."""

    def __init__(self, model: Model, path: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.model = model
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = self.session.get_inputs()
        self.dtypes = {i.name: DTYPES[i.type.removeprefix("tensor(").removesuffix(")")] for i in inputs}
        self.output_names = [o.name for o in self.session.get_outputs()]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self.output_names, self.session.run(None, inputs)))

    def make(self, rows: int, sizes: dict[str, int], seed: int) -> dict[str, np.ndarray]:
        return data.make(self.model, self.dtypes, rows, sizes, seed)

    def cases(self) -> list[Case]:
        """Requests of every size with every number of rows."""
        cases = []
        for sizes in self.model.sizes:
            for rows in self.model.rows if self.model.has_rows else [1, 1]:
                inputs = self.make(rows, sizes, len(cases))
                cases.append(Case(rows, sizes, inputs, self.run(inputs)))
        return cases

    def declared_free(self) -> str:
        """Which tensor is declared without a first dimension that varies; empty if all have one."""
        for kind, specs in (("input", self.session.get_inputs()), ("output", self.session.get_outputs())):
            for spec in specs:
                if not spec.shape or isinstance(spec.shape[0], int):
                    return f"{kind} '{spec.name}' has no free first dimension"
        return ""

    def batchable(self) -> str:
        """Why requests of this model may not be joined along the first dimension; empty if they may."""
        if why := self.declared_free():
            return why
        several, seed = [1, 1, 2, 3] if self.model.has_rows else [1, 1, 1], 1000
        for sizes in self.model.sizes * ROUNDS:
            seed += len(several)
            if why := self._joined([self.make(rows, sizes, seed + i) for i, rows in enumerate(several)]):
                return why
        return ""

    def _joined(self, requests: list[dict[str, np.ndarray]]) -> str:
        counts = [{len(tensor) for tensor in request.values()} for request in requests]
        if any(len(count) > 1 for count in counts):
            return "the inputs of one request have different first dimensions"
        alone = [self.run(request) for request in requests]
        try:
            joined = self.run({name: np.concatenate([r[name] for r in requests]) for name in requests[0]})
        except Exception as error:  # whatever ONNX Runtime says of it
            return f"together they fail: {str(error).splitlines()[0][:120]}"
        for name, output in joined.items():
            rows, at = [count.copy().pop() for count in counts], 0
            if any(one[name].ndim == 0 or len(one[name]) != n for one, n in zip(alone, rows)):
                shapes = ", ".join(f"{list(one[name].shape)} for {n} rows" for one, n in zip(alone, rows))
                return f"output '{name}' does not have its rows first: {shapes}"
            if len(output) != sum(rows):
                return f"output '{name}' has {len(output)} rows for {sum(rows)}"
            for one, n in zip(alone, rows):
                if why := difference(output[at:at + n], one[name], self.model.rtol, self.model.atol):
                    return f"output '{name}' of a row changes with the rows beside it: {why}"
                at += n
        return ""


def difference(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> str:
    """How two answers differ; empty if they are equal, floats within the tolerance."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)}, want {want.dtype}{list(want.shape)}"
    if want.dtype.kind != "f":
        wrong = int((got != want).sum())
        return f"{wrong} of {want.size} elements differ" if wrong else ""
    if np.allclose(got, want, rtol, atol, equal_nan=True):
        return ""
    apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
    return f"they are up to {np.nanmax(apart):.2g} apart, with values up to {np.nanmax(np.abs(want)):.2g}"
