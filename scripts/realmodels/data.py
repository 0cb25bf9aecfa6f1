"""Makes inputs that resemble real ones, from the hints of the table."""

import numpy as np

from .table import ROWS, Model


def make(model: Model, dtypes: dict[str, type], rows: int, sizes: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    """The inputs of one request, of the given rows and sizes."""
    rng = np.random.default_rng(seed)
    values = {**sizes, ROWS: rows}
    lengths = {name: full_and_shorter(rng, rows, size) for name, size in sizes.items()}
    return {name: one(hint, values, lengths, rng).astype(dtypes[name]) for name, hint in model.inputs.items()}


def resolve(shape: list, values: dict[str, int]) -> list[int]:
    return [values[d] if isinstance(d, str) else d for d in shape]


def full_and_shorter(rng, rows: int, size: int) -> np.ndarray:
    """How long each row is: one has all of the size, the others have a part."""
    lengths = rng.integers(1, size + 1, rows)
    lengths[rng.integers(rows)] = size
    return lengths


def one(hint: dict, values: dict[str, int], lengths: dict[str, np.ndarray], rng) -> np.ndarray:
    shape = resolve(hint["shape"], values)
    match hint:
        case {"ids": limit}:
            limit = values[limit] if isinstance(limit, str) else limit
            ids = rng.integers(hint.get("low", 0), limit, shape)
            return np.where(mask(hint["shape"], lengths, shape), ids, hint["pad"]) if "pad" in hint else ids
        case {"mask": True}:
            return mask(hint["shape"], lengths, shape)
        case {"lengths": name}:
            return lengths[name]
        case {"onehot": True}:
            return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
        case {"wave": [low, high]}:
            return wave(shape, low, high, rng)
        case {"normal": [mean, deviation]}:
            return rng.normal(mean, deviation, shape)
        case {"value": value}:
            return np.full(shape, value)
    raise SystemExit(f"models.toml: {hint} does not say how to make data")


def mask(names: list, lengths: dict[str, np.ndarray], shape: list[int]) -> np.ndarray:
    """Of a shape [rows, size]: true up to the length of each row."""
    return np.arange(shape[1]) < lengths[names[1]][: shape[0], None]


def wave(shape: list[int], low: float, high: float, rng) -> np.ndarray:
    """Sums of waves along every axis but the first, which differ from row to row, and a little noise."""
    total = np.zeros(shape)
    for axis in range(1, len(shape)):
        at = np.linspace(0, 1, shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        for _ in range(3):
            per_row = [shape[0]] + [1] * (len(shape) - 1)
            turns, phase = rng.uniform(0.5, 1 + shape[axis] / 8, per_row), rng.uniform(0, 6.3, per_row)
            total = total + np.sin(6.283 * turns * at + phase)
    total = total + rng.normal(0, 0.3, shape)
    spread = np.abs(total).max() or 1
    return low + (high - low) * (total / spread + 1) / 2
