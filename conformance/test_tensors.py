"""Every datatype there and back, bit by bit."""

from __future__ import annotations

from typing import Callable

import ml_dtypes
import numpy as np
import pytest

from clients import Answer, Client, Output, Request, Tensor
from expect import plain, refused, same

NUMPY = {
    "BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "BF16": ml_dtypes.bfloat16,
    "FP32": np.float32, "FP64": np.float64, "BYTES": np.object_,
}  # fmt: skip
INTEGERS = [datatype for datatype in NUMPY if "INT" in datatype]
ODD = 2**53 + 1  # the first whole number that FP64 does not have
WORDS = [b"", b"plain", b"a\x00b", b"\x00", 'quotes " and \\ and / \n\t\x1f\x7f'.encode(), "grün 漢字 😀 \u2028 \ufffd".encode(), b"x" * 70_000]

BINARY, JSON = "binary", "JSON"  # over gRPC: raw contents, typed contents
forms = pytest.mark.parametrize("form", [BINARY, JSON])


def boundaries(datatype: str) -> np.ndarray:
    """Return the values at which encodings go wrong."""
    dtype = NUMPY[datatype]
    if datatype == "BOOL":
        return np.array([True, False, True])
    if datatype in INTEGERS:
        info = np.iinfo(dtype)
        wide = [n for n in (ODD, -ODD) if info.min <= n <= info.max]
        return np.array([info.min, info.max, 0, 1, info.max - 1, *wide], dtype)
    info = ml_dtypes.finfo(dtype)
    tiny, small = info.tiny, info.smallest_subnormal
    return np.array([0.0, -0.0, 1 / 3, info.max, info.min, tiny, -tiny, small, -small, tiny - small, info.eps], dtype)


def array(words: list[bytes]) -> np.ndarray:
    values = np.empty(len(words), np.object_)
    values[:] = words
    return values


def echo(client: Client, datatype: str, values: np.ndarray, json: bool = False) -> np.ndarray:
    request = Request(f"echo_{datatype}", [Tensor("x", datatype, values)], outputs=[Output("x_out")], json=json)
    return client.infer(request).outputs["x_out"]


def check(client: Client, datatype: str, values: np.ndarray, form: str) -> None:
    got = echo(client, datatype, values, form == JSON)
    same((got.dtype, got.shape), (values.dtype, values.shape))
    if datatype == "BYTES":
        same(plain(got), values.tolist())
    else:
        same(bits(got, form), bits(values, form))


def bits(values: np.ndarray, form: str) -> bytes:
    """Return the bytes of an array. JSON has only one NaN."""
    if form == JSON and values.dtype.kind not in "biu":
        values = np.where(values != values, np.array(np.nan, values.dtype), values)
    return values.tobytes()


@forms
@pytest.mark.parametrize("datatype", ["BOOL", *INTEGERS])
def test_integers(client: Client, datatype: str, form: str):
    """Tensors: BOOL and integers from min to max, {form}"""
    check(client, datatype, boundaries(datatype), form)


@forms
@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_floats(client: Client, datatype: str, form: str):
    """Tensors: FP32 and FP64 with ±0 and subnormal values, {form}"""
    check(client, datatype, boundaries(datatype), form)


@forms
@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_not_finite(client: Client, datatype: str, form: str):
    """Tensors: NaN and the infinities, {form}"""
    check(client, datatype, np.array([np.nan, np.inf, -np.inf, -np.nan, 1], NUMPY[datatype]), form)


@forms
@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half(client: Client, datatype: str, form: str):
    """Tensors: {datatype}, {form}"""
    check(client, datatype, boundaries(datatype), form)


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_not_finite(client: Client, datatype: str):
    """Tensors: {datatype}, binary"""
    check(client, datatype, np.array([np.nan, np.inf, -np.inf], NUMPY[datatype]), BINARY)


@forms
def test_bytes(client: Client, form: str):
    """Tensors: BYTES with NUL and every kind of character, {form}"""
    check(client, "BYTES", array(WORDS), form)


def test_bytes_not_utf8(client: Client):
    """Tensors: BYTES that are not UTF-8, binary"""
    check(client, "BYTES", array([b"\xff\xfe\x00", bytes(range(256)), b"\xed\xa0\x80"]), BINARY)


def test_bytes_not_utf8_as_json(client: Client, on_purpose: Callable[[str], None]):
    """Tensors: an answer of BYTES that are not UTF-8, as JSON"""
    request = Request("echo_BYTES", [Tensor("x", "BYTES", array([b"\xff"]))], outputs=[Output("x_out", json=True)])
    with refused("INVALID_ARGUMENT", "is not valid UTF-8") as refusal:
        client.infer(request)
    on_purpose(refusal.text)


@forms
def test_empty(client: Client, form: str):
    """Tensors: without elements, {form}"""
    for datatype, dtype in NUMPY.items():
        if form == JSON and datatype in ("FP16", "BF16"):
            continue  # test_half says which clients have them
        check(client, datatype, np.empty(0, dtype), form)


@forms
def test_long(client: Client, form: str):
    """Tensors: of many elements, {form}"""
    rows = 4096 if form == BINARY else 256  # 16 MiB, and about 2 MB of JSON
    values = np.arange(rows * 1024, dtype=np.float32).reshape(rows, 1024)
    request = Request("wide", [Tensor("x", "FP32", values)], outputs=[Output("x_out")], json=form == JSON)
    same(client.infer(request).outputs["x_out"].tobytes(), values.tobytes())
