"""Starts a gateway, and speaks the Open Inference Protocol to it."""

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path

import numpy as np

from .table import Model

NAMES = {
    "float32": "FP32", "float64": "FP64", "float16": "FP16", "bool": "BOOL", "int8": "INT8", "uint8": "UINT8",
    "int16": "INT16", "uint16": "UINT16", "int32": "INT32", "uint32": "UINT32", "int64": "INT64", "uint64": "UINT64",
}
DTYPES = {name: np.dtype(dtype) for dtype, name in NAMES.items()}


class Gateway:
    """A gateway that serves models of a repository on free ports of this machine. DIRECTORY/gateway.log is its log."""

    def __init__(self, binary: Path, repository: Path, models: list[Model], directory: Path):
        self.port, self.admin = free_ports(2)
        config = directory / "gateway.yaml"
        path, names = json.dumps(str(repository.resolve())), json.dumps([m.name for m in models])
        config.write_text(
            f"repository: {{path: {path}, control: explicit, load: {names}}}\n"
            f'server: {{http: {{address: "127.0.0.1:{self.port}"}}, grpc: {{address: none}}}}\n'
            f'admin: {{address: "127.0.0.1:{self.admin}"}}\n'
        )
        self.log = directory / "gateway.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([binary, "serve", "-c", config], stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def alive(self) -> bool:
        return self.process.poll() is None

    def ended(self, seconds: float) -> bool:
        """Whether the gateway ends within so long."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_ready(self, seconds: float) -> None:
        """Waits until every model of the repository was loaded or could not be."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive():
                raise SystemExit(f"the gateway ended: see {self.log}")
            try:
                if self.client().get("/v2/health/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise SystemExit(f"the gateway was not ready after {seconds:.0f} s: see {self.log}")

    def client(self) -> "Client":
        return Client(self.port)

    def models(self) -> dict[str, dict]:
        """What the gateway tells of each model, from its admin port."""
        status, body = Client(self.admin).get("/api/v1/models")
        if status != 200:
            raise SystemExit(f"/api/v1/models answered {status}: {body[:200]!r}")
        return {model["name"]: model for model in json.loads(body)}

    def runs(self, name: str) -> int:
        """How many runs answered all requests for a model until now."""
        return json.loads(self.client().get(f"/v2/models/{name}/stats")[1])["model_stats"][0]["execution_count"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Client:
    """One connection, for one thread."""

    def __init__(self, port: int):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str) -> tuple[int, bytes]:
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        return response.status, response.read()

    def infer(self, model: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, int]:
        """Status, body, and how much of the body is JSON."""
        self.connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        return response.status, answer, int(response.getheader("Inference-Header-Content-Length", len(answer)))


def encode(inputs: dict[str, np.ndarray], binary: bool) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a request that wants its answer in the same form."""
    entries, blocks = [], []
    for name, tensor in inputs.items():
        entry = {"name": name, "shape": list(tensor.shape), "datatype": NAMES[tensor.dtype.name]}
        if binary:
            blocks.append(tensor.tobytes())
            entry["parameters"] = {"binary_data_size": len(blocks[-1])}
        else:
            entry["data"] = tensor.ravel().tolist()
        entries.append(entry)
    header = json.dumps({"inputs": entries, "parameters": {"binary_data_output": binary}}).encode()
    if not binary:
        return header, {"Content-Type": "application/json"}
    return header + b"".join(blocks), {
        "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(header)),
    }


def decode(body: bytes, header: int) -> dict[str, np.ndarray]:
    """The outputs of an answer."""
    outputs, at = {}, header
    for entry in json.loads(body[:header])["outputs"]:
        dtype, size = DTYPES[entry["datatype"]], entry.get("parameters", {}).get("binary_data_size")
        if size is None:
            tensor = np.array(entry["data"], dtype)
        else:
            tensor = np.frombuffer(body, dtype, size // dtype.itemsize, at)
            at += size
        outputs[entry["name"]] = tensor.reshape(entry["shape"])
    return outputs
