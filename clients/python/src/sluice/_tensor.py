"""Tensors on the wire: JSON and binary, in the Open Inference Protocol.

With numpy tensors are arrays and travel in binary. Without it they are nested lists and travel as JSON.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment]

HEADER_LENGTH = "Inference-Header-Content-Length"

# numpy has no dtype for BF16, so it is read and written as float32.
DTYPES: Dict[str, str] = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "BF16": "<u2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_DATATYPES = {dtype[-2:]: name for name, dtype in DTYPES.items() if name != "BF16"}
FLOATS = ("FP16", "BF16", "FP32", "FP64")


@dataclass(frozen=True, eq=False)
class Tensor:
    """An input with an explicit datatype: "FP32", "INT64", "BYTES", …

    ``data`` is an array or a list, flat or nested. The default of ``shape`` is its own shape.
    """

    data: Any
    datatype: str
    shape: Optional[Sequence[int]] = None


@dataclass(frozen=True, eq=False)
class InferResult:
    """The outputs of a model, and the version that answered.

    ``outputs`` are numpy arrays by name, or nested lists if numpy is not installed. BYTES are
    ``bytes``, BF16 is float32.
    """

    outputs: Dict[str, Any]
    version: Optional[int]
    """The version that answered."""
    route: Optional[str]
    """The route and its revision, "iris@7"."""
    reason: Optional[str]
    """The reason for this version: pinned, override, sticky, random, default or fallback."""
    request_id: Optional[str]
    """The id of the request in the gateway's log."""


def encode(
    inputs: Mapping[str, Any],
    outputs: Optional[Sequence[str]],
    parameters: Dict[str, Any],
    as_json: bool,
) -> Tuple[bytes, Dict[str, str]]:
    """Return the body and the headers of a request."""
    as_json = as_json or np is None
    document: Dict[str, Any] = {"inputs": []}
    blobs: List[bytes] = []
    for name, value in inputs.items():
        shape, datatype, data = elements(name, value)
        entry: Dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
        if as_json:
            entry["data"] = _for_json(name, datatype, data)
        else:
            blob = for_binary(datatype, data)
            entry["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        document["inputs"].append(entry)
    parameters = dict(parameters)
    if outputs:
        document["outputs"] = [{"name": name} if as_json else {"name": name, "parameters": {"binary_data": True}} for name in outputs]
    elif not as_json:
        parameters["binary_data_output"] = True
    if parameters:
        document["parameters"] = parameters
    text = json.dumps(document, separators=(",", ":")).encode()
    if as_json:
        return text, {"Content-Type": "application/json"}
    return b"".join([text, *blobs]), {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))}


def elements(name: str, value: Any) -> Tuple[List[int], str, Any]:
    """Return the shape and the datatype of an input, and its elements: an array, or a flat list without numpy."""
    if np is not None and not isinstance(value, Tensor):
        if not isinstance(value, (np.ndarray, np.generic)):
            raise TypeError(f"input {name!r} is a {type(value).__name__}: expected an array, or a datatype with sluice.Tensor(data, \"FP32\")")
        array = np.asarray(value)
        return list(array.shape), _datatype(name, array), array
    if not isinstance(value, Tensor):
        raise TypeError(f"input {name!r}: numpy is not installed, so the datatype is needed: sluice.Tensor(data, \"FP32\")")
    if value.datatype not in DTYPES and value.datatype != "BYTES":
        raise ValueError(f"input {name!r} has the unknown datatype {value.datatype!r}")
    if np is None:
        shape, flat = _flat(name, value.data)
        count = len(flat)
    else:
        flat = _array(name, value)
        shape, count = list(flat.shape), flat.size
    if value.shape is not None:
        shape = [int(n) for n in value.shape]
        if math.prod(shape) != count or min(shape, default=0) < 0:
            raise ValueError(f"input {name!r} has {count} elements, which do not fit shape {shape}")
    return shape, value.datatype, flat


def _array(name: str, tensor: Tensor) -> Any:
    """Return the elements of a tensor as an array of its datatype. The datatype must be able to express them."""
    if tensor.datatype == "BYTES":
        return np.asarray(tensor.data, dtype=object)
    target = np.dtype("<f4" if tensor.datatype == "BF16" else DTYPES[tensor.datatype])
    array = np.asarray(tensor.data)
    if array.dtype.kind == "O":  # numpy finds out the type, except for None, which is a missing float
        missing = math.nan if target.kind == "f" else None
        array = np.array([missing if e is None else e for e in array.ravel()]).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"input {name!r}: its elements are not numbers, but the datatype is {tensor.datatype}")
    with np.errstate(all="ignore"):
        cast = array.astype(target, copy=False)
    if target.kind == "f":
        fits = np.array_equal(np.isinf(cast), np.isinf(array))  # rounded, but not to infinity
    else:
        fits = np.array_equal(cast, array)
    if not fits:
        raise ValueError(f"input {name!r}: some elements do not fit the datatype {tensor.datatype}")
    return cast


def _datatype(name: str, array: Any) -> str:
    if array.dtype.kind in "OSU":
        return "BYTES"
    key = array.dtype.kind + str(array.dtype.itemsize) if array.dtype.kind != "b" else "?"
    if key not in _DATATYPES:
        raise TypeError(f"input {name!r} has the dtype {array.dtype}, which has no datatype")
    return _DATATYPES[key]


def for_binary(datatype: str, array: Any) -> bytes:
    if datatype == "BYTES":
        blobs = []
        for element in array.ravel().tolist():
            raw = _bytes(element)
            blobs += [struct.pack("<I", len(raw)), raw]
        return b"".join(blobs)
    if datatype == "BF16":
        return _to_bf16(array).tobytes()  # type: ignore[no-any-return]
    return array.astype(DTYPES[datatype], copy=False).tobytes()  # type: ignore[no-any-return]


def _for_json(name: str, datatype: str, data: Any) -> List[Any]:
    flat: List[Any] = data if isinstance(data, list) else data.ravel().tolist()
    if datatype in FLOATS:
        return [math.nan if element is None else element for element in flat]
    if datatype != "BYTES":
        return flat
    try:
        return [_bytes(element).decode() for element in flat]
    except UnicodeDecodeError:
        raise ValueError(f"input {name!r}: strings that are not UTF-8 can only be sent in binary") from None


def _bytes(element: Any) -> bytes:
    if isinstance(element, str):
        return element.encode()
    if isinstance(element, bytes):
        return element
    raise TypeError(f"{element!r} is not a string")


def _flat(name: str, data: Any) -> Tuple[List[int], List[Any]]:
    """Return the shape and the elements of a nested list."""
    if not isinstance(data, (list, tuple)):
        return [], [data]
    parts = [_flat(name, part) for part in data]
    if any(part[0] != parts[0][0] for part in parts):
        raise ValueError(f"input {name!r}: its rows do not have the same length")
    inner = parts[0][0] if parts else []
    return [len(data), *inner], [element for part in parts for element in part[1]]


def _to_bf16(array: Any) -> Any:
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4")
    rounded = (bits.astype("<u8") + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to the nearest, ties to even
    return np.where(np.isnan(array), (bits >> 16) | 0x40, rounded).astype("<u2")


def decode(body: bytearray, headers: Mapping[str, str]) -> InferResult:
    """Decode an answer. Arrays alias the body. It raises ValueError if the answer is not valid."""
    try:
        return _decode(body, headers)
    except (OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _decode(body: bytearray, headers: Mapping[str, str]) -> InferResult:
    text, rest = memoryview(body), memoryview(b"")
    if HEADER_LENGTH in headers:
        length = headers[HEADER_LENGTH]
        if not (length.isascii() and length.isdigit() and int(length) <= len(body)):
            raise ValueError(f"{HEADER_LENGTH} is not a length within the body")
        text, rest = text[: int(length)], text[int(length) :]
    document = json.loads(bytes(text))
    outputs = {}
    if not isinstance(document, dict) or not isinstance(document.get("outputs"), list):
        raise ValueError("it has no outputs")
    for output in document["outputs"]:
        try:
            name, datatype = str(output["name"]), str(output["datatype"])
            shape = list(output["shape"])
            parameters = output.get("parameters") or {}
            size = parameters.get("binary_data_size")
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"the description of an output is not valid: {error}") from None
        check_output(name, datatype, shape)
        if size is None:
            outputs[name] = _from_json(name, datatype, shape, output.get("data"))
            continue
        if not isinstance(size, int) or not 0 <= size <= len(rest):
            raise ValueError(f"output {name!r} has a binary_data_size of {size}, but {len(rest)} bytes are left")
        outputs[name] = from_binary(name, datatype, shape, rest[:size])
        rest = rest[size:]
    if len(rest):
        raise ValueError(f"{len(rest)} bytes follow the last output")
    version = headers.get("Sluice-Version") or document.get("model_version") or ""
    return InferResult(
        outputs,
        int(version) if isinstance(version, str) and version.isdigit() else None,
        headers.get("Sluice-Route"),
        headers.get("Sluice-Reason"),
        headers.get("X-Request-Id"),
    )


def check_output(name: str, datatype: str, shape: List[Any]) -> None:
    """Raise ValueError if the datatype is not known or a dimension is not a number."""
    if not all(type(n) is int and n >= 0 for n in shape) or (datatype not in DTYPES and datatype != "BYTES"):
        raise ValueError(f"output {name!r} is {datatype} of shape {shape}")


def from_binary(name: str, datatype: str, shape: List[int], data: memoryview) -> Any:
    if np is None:
        raise ValueError(f"output {name!r} is binary, which needs numpy")
    count = math.prod(shape)
    if datatype == "BYTES":
        elements = []
        while len(data) >= 4:
            (length,) = struct.unpack_from("<I", data)
            if length > len(data) - 4:
                break
            elements.append(bytes(data[4 : 4 + length]))
            data = data[4 + length :]
        if len(data) or len(elements) != count:
            raise ValueError(f"output {name!r}: its data does not have {count} strings")
        return _objects(elements, shape)
    if len(data) != count * np.dtype(DTYPES[datatype]).itemsize:
        raise ValueError(f"output {name!r}: {len(data)} bytes do not fit {datatype} of shape {shape}")
    array = np.frombuffer(data, DTYPES[datatype]).reshape(shape)
    if datatype == "BF16":
        return (array.astype("<u4") << 16).view("<f4")
    return array if array.flags.aligned else array.copy()


def _from_json(name: str, datatype: str, shape: List[int], data: Any) -> Any:
    if not isinstance(data, list):
        raise ValueError(f"output {name!r} has no data")
    _, flat = _flat(name, data)
    if len(flat) != math.prod(shape):
        raise ValueError(f"output {name!r}: {len(flat)} elements do not fit shape {shape}")
    try:
        if datatype == "BYTES":
            flat = [_bytes(element) for element in flat]
        elif datatype not in FLOATS:
            if any(type(element) is not (bool if datatype == "BOOL" else int) for element in flat):
                raise TypeError(f"some elements are not {datatype}")
        else:  # null is a value that is not finite, if the gateway is configured to write it so
            flat = [math.nan if element is None else float(element) for element in flat]
        if np is None:
            return _nested(flat, shape)
        if datatype == "BYTES":
            return _objects(flat, shape)
        return np.array(flat, "<f4" if datatype == "BF16" else DTYPES[datatype]).reshape(shape)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"output {name!r}: {error}") from None


def _objects(elements: List[bytes], shape: List[int]) -> Any:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array.reshape(shape)


def _nested(flat: List[Any], shape: List[int]) -> Any:
    if not shape:
        return flat[0]
    if len(shape) == 1 or not flat:  # empty rows are not counted: there may be any number of them
        return flat
    step = math.prod(shape[1:])
    return [_nested(flat[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
