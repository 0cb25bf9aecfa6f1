"""What the tests check with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Iterator

import numpy as np

from clients import Refused


def same(got: Any, want: Any) -> None:
    assert got == want


def plain(values: np.ndarray) -> list:
    """Return an array as nested lists. BYTES that came as text become bytes."""
    if values.dtype != np.object_:
        return values.tolist()
    return np.vectorize(lambda word: word.encode() if isinstance(word, str) else word, otypes=[np.object_])(values).tolist() if values.size else []


@dataclass
class Refusal:
    text: str = ""


@contextmanager
def refused(code: str, text: str) -> Iterator[Refusal]:
    """Expect an error with a code and a part of its text; what it yields has the whole text. Errors in a stream have no code."""
    refusal = Refusal()
    try:
        yield refusal
    except Refused as error:
        assert error.code in (code, ""), f"{error.code}: {error.text}"
        assert text in error.text
        refusal.text = error.text
    else:
        raise AssertionError(f"no error, want {code}: {text}")
