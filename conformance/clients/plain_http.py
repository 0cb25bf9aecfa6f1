"""HTTP by hand, with Python's standard library and zstandard: what a program without any client sees."""

from __future__ import annotations

import gzip
import http.client
import json
import struct
import zlib
from collections import defaultdict
from typing import Any, Iterable

import ml_dtypes
import numpy as np
import zstandard

from clients import Answer, Client, NotOffered, Request, Tensor, http_error

LENGTH = "Inference-Header-Content-Length"
DTYPES = {
    "BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "BF16": ml_dtypes.bfloat16,
    "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
PACK = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}
UNPACK = {"gzip": gzip.decompress, "deflate": zlib.decompress, "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body)}


def raw(tensor: Tensor) -> bytes:
    """Return a tensor as in binary bodies, and in raw_input_contents."""
    if tensor.datatype != "BYTES":
        return tensor.values.tobytes()
    return b"".join(struct.pack("<I", len(word)) + word for word in tensor.values.ravel())


def from_raw(datatype: str, shape: list[int], data: bytes) -> np.ndarray:
    if datatype != "BYTES":
        return np.frombuffer(data, DTYPES[datatype]).reshape(shape)
    words = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        words.append(data[4 : 4 + length])
        data = data[4 + length :]
    values = np.empty(len(words), np.object_)
    values[:] = words
    return values.reshape(shape)


def elements(tensor: Tensor) -> list:
    """Return the elements of a tensor for JSON."""
    if tensor.datatype == "BYTES":
        try:
            return [word.decode() for word in tensor.values.ravel()]
        except UnicodeDecodeError as error:
            raise NotOffered("JSON has only text") from error
    if tensor.datatype in ("FP16", "BF16"):
        return tensor.values.astype(np.float32).ravel().tolist()
    return tensor.values.ravel().tolist()


def from_elements(datatype: str, shape: list[int], data: list) -> np.ndarray:
    if datatype == "BYTES":
        values = np.empty(len(data), np.object_)
        values[:] = [word.encode() for word in data]
        return values.reshape(shape)
    return np.array(data, DTYPES[datatype]).reshape(shape)


def encode(request: Request) -> tuple[bytes, dict[str, str]]:
    """Return the body of a request and the headers that describe it."""
    document: dict[str, Any] = {"inputs": []}
    blobs = []
    for tensor in request.inputs:
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.values.shape)}
        if request.json:
            entry["data"] = elements(tensor)
        else:
            blobs.append(raw(tensor))
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        document["inputs"].append(entry)
    parameters: dict[str, Any] = dict(request.parameters)
    if request.outputs is None:
        parameters["binary_data_output"] = not request.json
    else:
        document["outputs"] = []
        for output in request.outputs:
            wanted: dict[str, Any] = {"binary_data": not (request.json if output.json is None else output.json)}
            if output.classes:
                wanted["classification"] = output.classes
            document["outputs"].append({"name": output.name, "parameters": wanted})
    named = {"priority": request.priority or None, "timeout": request.timeout, "sequence_id": request.sequence or None}
    parameters |= {name: value for name, value in named.items() if value is not None}
    if parameters:
        document["parameters"] = parameters
    if request.id:
        document["id"] = request.id
    text = json.dumps(document).encode()
    if request.json:
        return text, {"Content-Type": "application/json"}
    return b"".join([text, *blobs]), {"Content-Type": "application/octet-stream", LENGTH: str(len(text))}


def decode(headers: http.client.HTTPMessage, body: bytes) -> Answer:
    length = int(headers.get(LENGTH, len(body)))
    document, rest = json.loads(body[:length]), body[length:]
    outputs = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            outputs[output["name"]] = from_elements(output["datatype"], output["shape"], output["data"])
        else:
            outputs[output["name"]] = from_raw(output["datatype"], output["shape"], rest[:size])
            rest = rest[size:]
    assert not rest, f"{len(rest)} bytes follow the last output"
    served = {name: headers[f"Sluice-{name}"] for name in ("version", "route", "reason")}
    return Answer(outputs, document["model_name"], document["model_version"], document.get("id", ""), served)


class PlainHTTP(Client):
    def connect(self) -> http.client.HTTPConnection:
        if self.target.ca:
            return http.client.HTTPSConnection(self.target.http, context=self.target.ssl_context(), timeout=60)
        return http.client.HTTPConnection(self.target.http, timeout=60)

    def http(self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, headers: dict[str, str] | None = None):
        """Send a request, in chunks if its body is an iterable, and return the status, the headers and the body of the answer."""
        connection = self.connect()
        try:
            connection.request(method, path, body, self.target.headers | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """Send a JSON document and return the answer's."""
        status, _, body = self.http(method, path, None if document is None else json.dumps(document).encode())
        if status != 200:
            raise http_error(status, json.loads(body)["error"])
        return json.loads(body) if body else None

    def _holds(self, path: str) -> bool:
        return self.http("GET", path)[0] == 200

    def live(self):
        return self._holds("/v2/health/live")

    def ready(self):
        return self._holds("/v2/health/ready")

    def model_ready(self, model, version=""):
        return self._holds(model_path(model, version) + "/ready")

    def server_metadata(self):
        return self.ask("GET", "/v2")

    def model_metadata(self, model, version=""):
        return self.ask("GET", model_path(model, version))

    def infer(self, request, chunks=0):
        if request.deadline:
            raise NotOffered("the gateway does not see the deadline of a caller over HTTP")
        body, headers = encode(request)
        if request.coding:
            body = PACK[request.coding](body)
            headers["Content-Encoding"] = request.coding
        if request.accept:
            headers["Accept-Encoding"] = request.accept
        sent = (body[i : i + chunks] for i in range(0, len(body), chunks)) if chunks else body
        status, got, body = self.http("POST", model_path(request.model, request.version) + "/infer", sent, headers | request.headers)
        assert got.get("Content-Encoding", "") == request.accept, got.items()
        if request.accept:
            body = UNPACK[request.accept](body)
        if status != 200:
            raise http_error(status, json.loads(body)["error"])
        return decode(got, body)

    def infer_in_chunks(self, request):
        return self.infer(request, chunks=1000)

    def infer_and_cancel(self, request):
        body, headers = encode(request)
        connection = self.connect()
        connection.request("POST", model_path(request.model) + "/infer", body, self.target.headers | headers)
        connection.close()

    def infer_raw(self, model, data):
        """Send the bytes of the only input as the body."""
        status, headers, body = self.http("POST", model_path(model) + "/infer", data, {LENGTH: "0", "Content-Type": "application/octet-stream"})
        assert status == 200, body
        return decode(headers, body)

    def index(self):
        states = defaultdict(dict)
        for entry in self.ask("POST", "/v2/repository/index", {}):
            states[entry["name"]][entry.get("version", "")] = entry.get("state", "")
        return states

    def load(self, model, config=None):
        self.ask("POST", f"/v2/repository/models/{model}/load", {} if config is None else {"parameters": {"config": config}})

    def unload(self, model):
        self.ask("POST", f"/v2/repository/models/{model}/unload")

    def statistics(self, model="", version=""):
        return self.ask("GET", (model_path(model, version) if model else "/v2/models") + "/stats")["model_stats"]

    def config(self, model, version=""):
        return self.ask("GET", model_path(model, version) + "/config")

    def trace_settings(self, model="", change=None):
        path = f"/v2/models/{model}/trace/setting" if model else "/v2/trace/setting"
        settings = self.ask("GET", path) if change is None else self.ask("POST", path, change)
        return {name: value if isinstance(value, list) else [value] for name, value in settings.items()}

    def log_settings(self, change=None):
        return self.ask("GET", "/v2/logging") if change is None else self.ask("POST", "/v2/logging", change)

    def shared_memory_status(self, kind):
        return self.ask("GET", f"/v2/{kind}sharedmemory/status")

    def unregister_shared_memory(self, kind):
        self.ask("POST", f"/v2/{kind}sharedmemory/unregister")

    def register_shared_memory(self, kind):
        self.ask("POST", f"/v2/{kind}sharedmemory/region/region/register", {"key": "/key", "offset": 0, "byte_size": 64})

    def v1(self, path, document=None):
        return self.ask("GET" if document is None else "POST", "/v1/models" + path, document)

    def invocations(self, document):
        return self.ask("POST", "/invocations", document)

    def invocations_csv(self, text):
        status, _, body = self.http("POST", "/invocations", text.encode(), {"Content-Type": "text/csv"})
        assert status == 200, body
        return json.loads(body)

    def predict(self, model, rows):
        return self.ask("POST", model_path(model) + "/predict", {"dataframe_records": rows})["predictions"]


def model_path(model: str, version: str = "") -> str:
    return f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
