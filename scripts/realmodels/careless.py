"""Calls models as careless or hostile callers do: without rows, with odd sizes, with numbers that no vocabulary has.

What such a call is answered is up to the model. But the gateway must outlive it, and answer the next request right.
"""

from collections import Counter
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import numpy as np

from .check import Refused, ask
from .data import resolve
from .gateway import Gateway, encode
from .reference import Case, Reference
from .table import ROWS, Model


def run(binary: Path, cache: Path, models: list[Model], patience: float) -> bool:
    """Gives each model a gateway of its own, and says whether all of them behaved."""
    behaved = True
    for model in models:
        good = Reference(model, cache / "models" / model.name / "1" / "model.onnx").cases()[0]
        statuses: Counter[str] = Counter()
        problems = []
        calls = list(spoilt(model, good))
        while calls:
            with Gateway(binary, cache / "models", [model], cache) as gateway:
                gateway.wait_ready(patience)
                problem = until_it_ends(gateway, model, good, calls, statuses)
                problems += [problem] if problem else []
        behaved = behaved and not problems
        counts = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
        print(f"{model.name}: {counts}{''.join(f'; {p}' for p in problems)}", flush=True)
    return behaved


def until_it_ends(gateway: Gateway, model: Model, good: Case, calls: list, statuses: Counter) -> str:
    """Makes the calls and takes them from the list, up to one that the gateway does not outlive."""
    while calls:
        label, inputs = calls.pop(0)
        try:
            statuses[str(gateway.client().infer(model.name, *encode(inputs, True))[0])] += 1
            if problem := ask(gateway.client(), model, good, encode(good.inputs, True)):
                return f"after {label} a good request is wrong: {problem}"
        except Refused as refusal:
            return f"after {label} a good request is refused: {refusal}"
        except (OSError, HTTPException):
            return f"{label} ends the gateway" if gateway.ended(5) else f"{label} breaks the connection"
    return ""


def spoilt(model: Model, good: Case) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Inputs that a model was not made for, each with a label."""
    if model.has_rows:
        yield "no rows", empty(model, good, {**good.sizes, ROWS: 0})
    for name in good.sizes:
        for size in (0, 1, 7):
            yield f"{name} = {size}", empty(model, good, {**good.sizes, ROWS: 1, name: size})
    if len(good.sizes) > 1:
        yield "all sizes 0", empty(model, good, {ROWS: 1, **dict.fromkeys(good.sizes, 0)})
    for name, hint in model.inputs.items():
        tensor = good.inputs[name]
        if "ids" in hint and tensor.dtype.kind in "iuf":
            for value in (10**6, -1, -(2**31)):
                yield f"{value} in '{name}'", {**good.inputs, name: with_first(tensor, value)}
        elif tensor.dtype.kind == "f":
            yield f"NaN in '{name}'", {**good.inputs, name: with_first(tensor, np.nan)}
        elif "value" in hint:
            for value in (0, -1, 2**31 - 1):
                yield f"{value} in '{name}'", {**good.inputs, name: np.full_like(tensor, value)}


def empty(model: Model, good: Case, values: dict[str, int]) -> dict[str, np.ndarray]:
    """Zeros of the given rows and sizes; inputs with neither of them are as in the good request."""
    return {
        name: np.zeros(resolve(hint["shape"], values), good.inputs[name].dtype)
        if any(isinstance(d, str) for d in hint["shape"]) else good.inputs[name]
        for name, hint in model.inputs.items()
    }


def with_first(tensor: np.ndarray, value: float) -> np.ndarray:
    changed = tensor.copy()
    changed.flat[0] = value
    return changed
