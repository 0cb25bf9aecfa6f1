#!/usr/bin/env python3
"""Serves the ONNX backend node tests and compares every answer with Python onnxruntime.

    pip install -r training/requirements.txt            # the onnx wheel ships the tests
    scripts/onnx-node-tests.py prepare DIR               # DIR/<test>/1/model.onnx, inputs beside it
    gateway serve --model-repository DIR
    scripts/onnx-node-tests.py compare DIR http://127.0.0.1:8000 [--json] [--only TEXT] [--verbose]

The peer is what the same version of ONNX Runtime computes in Python from the same inputs, not the output stored with
a test. A test counts as equal where the metadata and the answer name the same tensors with the same datatypes, the
answer's shapes are the same, integers, booleans and strings are identical, and floats differ by no more than TOLERANCE.
Exits 1 where anything is different or wrongly refused.
"""

import argparse
import ctypes
import http.client
import json
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

# |got - want| <= absolute + relative * |want|, by datatype.
TOLERANCE = {"FP64": (1e-9, 1e-7), "FP32": (1e-6, 1e-5), "FP16": (1e-3, 1e-3), "BF16": (1e-2, 1e-2)}

# ONNX element type -> protocol datatype and the numpy type that holds its bits.
TYPES = {
    TensorProto.BOOL: ("BOOL", np.bool_),
    TensorProto.UINT8: ("UINT8", np.uint8),
    TensorProto.UINT16: ("UINT16", np.uint16),
    TensorProto.UINT32: ("UINT32", np.uint32),
    TensorProto.UINT64: ("UINT64", np.uint64),
    TensorProto.INT8: ("INT8", np.int8),
    TensorProto.INT16: ("INT16", np.int16),
    TensorProto.INT32: ("INT32", np.int32),
    TensorProto.INT64: ("INT64", np.int64),
    TensorProto.FLOAT16: ("FP16", np.float16),
    TensorProto.BFLOAT16: ("BF16", np.uint16),
    TensorProto.FLOAT: ("FP32", np.float32),
    TensorProto.DOUBLE: ("FP64", np.float64),
    TensorProto.STRING: ("BYTES", np.object_),
}
ORT_TYPES = {
    f"tensor({TensorProto.DataType.Name(element).lower()})": datatype for element, (datatype, _) in TYPES.items()
}
BITS = {datatype: kind for datatype, kind in TYPES.values()}


@dataclass
class Tensor:
    """A named tensor. Data is flat; BF16 is held as its 16 bits, strings as a list of bytes."""

    name: str
    datatype: str
    shape: list[int]
    data: np.ndarray | list[bytes]

    def values(self) -> np.ndarray:
        """Returns the elements as numbers that can be compared."""
        if self.datatype == "BF16":
            return (self.data.astype(np.uint32) << 16).view(np.float32)
        return self.data

    def blob(self) -> bytes:
        if self.datatype == "BYTES":
            return b"".join(len(s).to_bytes(4, "little") + s for s in self.data)
        return self.data.tobytes()

    def numbers(self) -> list:
        if self.datatype == "BYTES":
            return [s.decode() for s in self.data]
        return self.values().tolist()


class Refused(Exception):
    """ONNX Runtime does not load the model, or does not run it on these inputs."""


# --- the tests -------------------------------------------------------------------------------------------------------


def node_tests() -> Path:
    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"


def prepare(directory: Path) -> None:
    tests = sorted(p.parent for p in node_tests().glob("*/model.onnx"))
    if not tests:
        sys.exit(f"onnx {onnx.__version__} ships no node tests; use the version in training/requirements.txt")
    for test in tests:
        target = directory / test.name
        shutil.copytree(test, target, ignore=shutil.ignore_patterns("model.onnx"), dirs_exist_ok=True)
        (target / "1").mkdir(exist_ok=True)
        shutil.copyfile(test / "model.onnx", target / "1" / "model.onnx")
    print(f"{len(tests)} models in {directory}")


def not_tensors(model: onnx.ModelProto) -> list[str]:
    """Returns what the protocol cannot carry: the kinds and element types of such inputs and outputs."""
    found = []
    for value in [*model.graph.input, *model.graph.output]:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            found.append(kind.removesuffix("_type"))
        elif value.type.tensor_type.elem_type not in TYPES:
            found.append(TensorProto.DataType.Name(value.type.tensor_type.elem_type))
    return sorted(set(found))


def load_inputs(test: Path, model: onnx.ModelProto) -> list[Tensor]:
    inputs = []
    for i, value in enumerate(model.graph.input):
        file = test / "test_data_set_0" / f"input_{i}.pb"
        if not file.exists():
            continue  # an optional input, left out
        proto = TensorProto.FromString(file.read_bytes())
        datatype, kind = TYPES[proto.data_type]
        if datatype == "BYTES":
            data = list(proto.string_data)
        else:
            data = np.ascontiguousarray(numpy_helper.to_array(proto)).ravel().view(kind)
        inputs.append(Tensor(value.name, datatype, list(proto.dims), data))
    return inputs


# --- the peer --------------------------------------------------------------------------------------------------------


class Peer:
    """Python onnxruntime on one thread."""

    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Refused(str(error)) from error

    def signature(self) -> list[tuple[str, str]]:
        """Returns name and datatype of the inputs, then of the outputs."""
        return [(v.name, ORT_TYPES[v.type]) for v in [*self.session.get_inputs(), *self.session.get_outputs()]]

    def run(self, inputs: list[Tensor]) -> list[Tensor]:
        names = [o.name for o in self.session.get_outputs()]
        try:
            if any(t.datatype == "BYTES" for t in inputs):  # OrtValues are not made from strings, so numpy it is
                arrays = self.session.run(names, {t.name: _to_numpy(t) for t in inputs})
                return [_from_numpy(name, array) for name, array in zip(names, arrays)]
            values = self.session.run_with_ort_values(names, {t.name: _to_ort(t) for t in inputs})
        except Exception as error:
            raise Refused(str(error)) from error
        return [_from_ort(name, value) for name, value in zip(names, values)]


def _to_numpy(t: Tensor) -> np.ndarray:
    data = np.array([s.decode() for s in t.data], np.object_) if t.datatype == "BYTES" else t.data
    return data.reshape(t.shape)


def _from_numpy(name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind in "OUS":
        return Tensor(name, "BYTES", list(array.shape), [str(s).encode() for s in array.ravel()])
    datatype = next(datatype for datatype, kind in TYPES.values() if kind == array.dtype)
    return Tensor(name, datatype, list(array.shape), array.ravel())


def _to_ort(t: Tensor) -> onnxruntime.OrtValue:
    array = t.data.reshape(t.shape)
    if t.datatype == "BF16":
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, TensorProto.BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def _from_ort(name: str, value: onnxruntime.OrtValue) -> Tensor:
    datatype, kind = TYPES[value.element_type()]
    shape = list(value.shape())
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, [s.encode() for s in value.numpy().ravel()])
    # Read through the pointer: numpy has no bfloat16.
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    return Tensor(name, datatype, shape, np.frombuffer(raw, kind))


# --- the gateway -----------------------------------------------------------------------------------------------------


class Gateway:
    """A V2 client of a few lines over one connection."""

    def __init__(self, url: str):
        self.address = urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=60)

    def call(self, method: str, path: str, body: bytes = b"", headers: dict | None = None):
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (http.client.HTTPException, OSError):
            self.connection.close()  # opens again with the next request
            raise

    def unavailable(self) -> dict[str, str]:
        """Returns the models of the repository index that are not ready, with the reason."""
        status, _, body = self.call("POST", "/v2/repository/index")
        if status != 200:
            sys.exit(f"repository index: {status} {body[:200]!r}")
        return {m["name"]: m.get("reason", "") for m in json.loads(body) if m.get("state") != "READY"}

    def signature(self, model: str) -> list[tuple[str, str]]:
        """Returns name and datatype of the inputs, then of the outputs, from the metadata."""
        status, _, body = self.call("GET", f"/v2/models/{model}")
        if status != 200:
            raise ValueError(f"metadata: {status} {body[:200]!r}")
        document = json.loads(body)
        return [(t["name"], t["datatype"]) for t in [*document["inputs"], *document["outputs"]]]

    def infer(self, model: str, inputs: list[Tensor], as_json: bool) -> tuple[int, list[Tensor], str]:
        """Returns the status, the outputs and the error text."""
        path = f"/v2/models/{model}/infer"
        head = [{"name": t.name, "datatype": t.datatype, "shape": t.shape} for t in inputs]
        if as_json:
            for entry, t in zip(head, inputs):
                entry["data"] = t.numbers()
            body, headers = json.dumps({"inputs": head}).encode(), {"Content-Type": "application/json"}
        else:
            blobs = [t.blob() for t in inputs]
            for entry, blob in zip(head, blobs):
                entry["parameters"] = {"binary_data_size": len(blob)}
            text = json.dumps({"inputs": head, "parameters": {"binary_data_output": True}}).encode()
            body = text + b"".join(blobs)
            headers = {
                "Content-Type": "application/octet-stream",
                "Inference-Header-Content-Length": str(len(text)),
            }
        status, reply, body = self.call("POST", path, body, headers)
        if status != 200:
            return status, [], body.decode(errors="replace")[:300]
        return status, _outputs(body, reply.get("Inference-Header-Content-Length")), ""


def _outputs(body: bytes, header_length: str | None) -> list[Tensor]:
    size = len(body) if header_length is None else int(header_length)
    rest, outputs = body[size:], []
    for entry in json.loads(body[:size])["outputs"]:
        datatype, kind = entry["datatype"], BITS[entry["datatype"]]
        blob_size = entry.get("parameters", {}).get("binary_data_size")
        if blob_size is None:
            data = _from_numbers(entry["data"], datatype)
        else:
            blob, rest = rest[:blob_size], rest[blob_size:]
            data = _strings(blob) if datatype == "BYTES" else np.frombuffer(blob, kind)
        outputs.append(Tensor(entry["name"], datatype, entry["shape"], data))
    if rest:
        raise ValueError(f"{len(rest)} bytes beyond the outputs")
    return outputs


def _from_numbers(numbers: list, datatype: str) -> np.ndarray | list[bytes]:
    if datatype == "BYTES":
        return [s.encode() for s in numbers]
    if datatype == "BF16":
        return (np.array(numbers, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return np.array(numbers, BITS[datatype])


def _strings(blob: bytes) -> list[bytes]:
    elements = []
    while blob:
        size = int.from_bytes(blob[:4], "little")
        elements.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return elements


# --- the comparison --------------------------------------------------------------------------------------------------


def difference(got: list[Tensor], want: list[Tensor], values: bool = True) -> str:
    """Returns what differs, or nothing. Without values only names, datatypes and shapes count."""
    if [t.name for t in got] != [t.name for t in want]:
        return f"outputs {[t.name for t in got]}, want {[t.name for t in want]}"
    for g, w in zip(got, want):
        if (g.datatype, g.shape) != (w.datatype, w.shape):
            return f"{g.name}: {g.datatype} {g.shape}, want {w.datatype} {w.shape}"
        if not values:
            continue
        a, b = g.values(), w.values()
        if len(a) != len(b):
            return f"{g.name}: {len(a)} elements, want {len(b)}"
        if g.datatype == "BYTES":
            same = a == b
        elif g.datatype in TOLERANCE:
            absolute, relative = TOLERANCE[g.datatype]
            same = np.allclose(a, b, rtol=relative, atol=absolute, equal_nan=True)
        else:
            same = np.array_equal(a, b)
        if not same:
            return f"{g.name}: {str(a)[:80]}, want {str(b)[:80]}"
    return ""


def identical(got: list[Tensor], want: list[Tensor]) -> bool:
    return all(g.blob() == w.blob() for g, w in zip(got, want))


def judge(test: Path, gateway: Gateway, unavailable: dict[str, str], as_json: bool) -> tuple[str, str]:
    """Returns the class that a test falls into and a detail."""
    path = test / "1" / "model.onnx"
    model = onnx.load(path)
    listed = test.name in unavailable
    if kinds := not_tensors(model):
        return ("refused by design", ", ".join(kinds)) if listed else ("different", f"{kinds} not listed as failed")
    inputs = load_inputs(test, model)
    try:
        peer = Peer(path)
    except Refused as refusal:
        said = str(refusal)[:200]
        return ("onnxruntime does not load it", said) if listed else ("different", f"not listed as failed: {said}")
    if listed:
        return "different", f"listed as failed: {unavailable[test.name]}"
    if (shown := gateway.signature(test.name)) != peer.signature():
        return "different", f"metadata shows {shown}, want {peer.signature()}"
    try:
        want = peer.run(inputs)
        # A dropout with a seed repeats itself once before it moves on: two runs do not show that it is random.
        random = any(not identical(peer.run(inputs), want) for _ in range(3))
    except Refused as refusal:
        status, _, said = gateway.infer(test.name, inputs, as_json)
        if status == 200:
            return "different", f"answered 200 where onnxruntime says: {refusal}"
        return "onnxruntime does not run it", f"{status} {said}"
    status, got, said = gateway.infer(test.name, inputs, as_json)
    if status != 200:
        return "different", f"status {status}: {said}"
    if said := difference(got, want, values=not random):
        return "different", said
    if random:
        return "random, equal in type and shape", ""
    return ("equal, every bit" if identical(got, want) else "equal within the tolerance"), ""


def compare(directory: Path, url: str, as_json: bool, only: str, verbose: bool) -> int:
    gateway = Gateway(url)
    unavailable = gateway.unavailable()
    tests = sorted(p for p in directory.iterdir() if (p / "1" / "model.onnx").exists() and only in p.name)
    print(f"{len(tests)} models, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, "
          f"{'JSON' if as_json else 'binary'} tensors, tolerance (absolute, relative) {TOLERANCE}")
    counts: Counter[str] = Counter()
    details: dict[str, Counter[str]] = {}
    for test in tests:
        try:
            kind, detail = judge(test, gateway, unavailable, as_json)
        except (http.client.HTTPException, OSError, ValueError, KeyError) as error:
            kind, detail = "different", f"{type(error).__name__}: {error}"
        counts[kind] += 1
        details.setdefault(kind, Counter())[detail] += 1
        if kind == "different" or (verbose and not kind.startswith("equal")):
            print(f"{kind:32} {test.name}: {detail}")
    for kind, n in sorted(counts.items()):
        print(f"{n:6}  {kind}")
        if kind == "refused by design":
            for detail, m in details[kind].most_common():
                print(f"{m:12}  {detail}")
    return 1 if counts["different"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare", help="lay the tests out as a model repository")
    one.add_argument("directory", type=Path)
    two = commands.add_parser("compare", help="compare a gateway that serves them with Python onnxruntime")
    two.add_argument("directory", type=Path)
    two.add_argument("url")
    two.add_argument("--json", action="store_true", help="JSON tensors both ways instead of binary")
    two.add_argument("--only", default="", metavar="TEXT", help="tests whose name holds TEXT")
    two.add_argument("--verbose", action="store_true", help="print every test that was not compared by value")
    args = parser.parse_args()
    if args.command == "prepare":
        prepare(args.directory)
        return 0
    return compare(args.directory, args.url, args.json, args.only, args.verbose)


if __name__ == "__main__":
    sys.exit(main())
