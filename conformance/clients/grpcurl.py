"""grpcurl, which finds the service by reflection and writes and reads messages as JSON."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections import defaultdict
from typing import Any

import numpy as np

from clients import Answer, Client, NotOffered, Refused, Request, Tensor
from clients.plain_http import from_raw, raw

SERVICE = "inference.GRPCInferenceService"
CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
    "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split()


def contents(tensor: Tensor) -> dict[str, list]:
    """Return a tensor in the field of its datatype."""
    kind = tensor.datatype
    if kind in ("FP16", "BF16"):
        raise NotOffered("the protocol has no contents for FP16 and BF16")
    if kind == "BYTES":
        return {"bytesContents": [base64.b64encode(word).decode() for word in tensor.values.ravel()]}
    values = tensor.values.ravel().tolist()
    if kind in ("FP32", "FP64"):
        special = {np.inf: "Infinity", -np.inf: "-Infinity"}
        return {f"{kind.lower()}Contents": ["NaN" if v != v else special.get(v, v) for v in values]}
    if kind == "BOOL":
        return {"boolContents": values}
    field = ("uint" if kind.startswith("U") else "int") + ("64" if kind.endswith("64") else "")
    return {f"{field}Contents": values}


def message(request: Request) -> dict[str, Any]:
    if request.coding or request.accept or any(output.json is not None for output in request.outputs or []):
        raise NotOffered("compression")
    inputs, blobs = [], []
    for tensor in request.inputs:
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.values.shape)}
        if request.json:
            entry["contents"] = contents(tensor)
        else:
            blobs.append(base64.b64encode(raw(tensor)).decode())
        inputs.append(entry)
    kinds = {bool: "boolParam", int: "int64Param", str: "stringParam"}
    parameters = dict(request.parameters)
    named = {"priority": request.priority or None, "timeout": request.timeout, "sequence_id": request.sequence or None}
    parameters |= {name: value for name, value in named.items() if value is not None}
    outputs = [{"name": o.name, "parameters": {"classification": {"int64Param": o.classes}} if o.classes else {}} for o in request.outputs or []]
    return {
        "modelName": request.model, "modelVersion": request.version, "id": request.id, "inputs": inputs, "outputs": outputs,
        "rawInputContents": blobs, "parameters": {name: {kinds[type(value)]: value} for name, value in parameters.items()},
    }  # fmt: skip


def answer(document: dict[str, Any]) -> Answer:
    outputs = {}
    for output, blob in zip(document["outputs"], document.get("raw_output_contents", []), strict=True):
        shape = [int(dim) for dim in output.get("shape", [])]
        outputs[output["name"]] = from_raw(output["datatype"], shape, base64.b64decode(blob))
    served = {name.removeprefix("sluice_"): str(next(iter(value.values()))) for name, value in document["parameters"].items()}
    return Answer(outputs, document["model_name"], document["model_version"], document.get("id", ""), served)


def snake(document: Any) -> Any:
    """Return a document with the names that the fields have in the protocol; grpcurl has those of JSON."""
    if isinstance(document, list):
        return [snake(entry) for entry in document]
    if isinstance(document, dict):
        return {re.sub("[A-Z]", lambda match: "_" + match[0].lower(), name): snake(value) for name, value in document.items()}
    return document


class GRPCurl(Client):
    def __init__(self, target):
        super().__init__(target)
        self._program = os.environ.get("GRPCURL", "grpcurl")

    def _call(self, method: str, *messages: dict[str, Any], headers: dict[str, str] | None = None, deadline: float | None = None) -> list[Any]:
        service = method if "." in method else f"{SERVICE}/{method}"
        run = self._run(service, "".join(map(json.dumps, messages)), self.target.headers | (headers or {}), deadline)
        documents, rest, decoder = [], run.strip(), json.JSONDecoder()
        while rest:
            document, end = decoder.raw_decode(rest)
            documents.append(snake(document))
            rest = rest[end:].lstrip()
        return documents

    def _run(self, verb: str, sent: str, headers: dict[str, str], deadline: float | None = None) -> str:
        command = [self._program, "-format-error", "-emit-defaults", "-max-msg-sz", str(1 << 30), "-d", "@"]
        command += ["-cacert", str(self.target.ca)] if self.target.ca else ["-plaintext"]
        if self.target.certificate:
            command += ["-cert", str(self.target.certificate[0]), "-key", str(self.target.certificate[1])]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}"]
        if deadline:
            command += ["-max-time", str(deadline + 2)]  # it counts from the start of the program, which asks for the service first
        run = subprocess.run([*command, self.target.grpc, verb], input=sent, capture_output=True, text=True, timeout=120)
        if run.returncode:
            status = json.loads(run.stderr)
            raise Refused(CODES[status["code"]], status.get("message", ""))
        return run.stdout

    def _one(self, method: str, **fields: Any) -> Any:
        return self._call(method, fields)[0]

    def services(self):
        return self._run("list", "", self.target.headers).split()

    def grpc_health(self):
        return self._call("grpc.health.v1.Health/Check", {})[0]["status"]

    def live(self):
        return self._one("ServerLive")["live"]

    def ready(self):
        return self._one("ServerReady")["ready"]

    def model_ready(self, model, version=""):
        return self._one("ModelReady", name=model, version=version)["ready"]

    def server_metadata(self):
        return self._one("ServerMetadata")

    def model_metadata(self, model, version=""):
        document = self._one("ModelMetadata", name=model, version=version)
        for tensor in document["inputs"] + document["outputs"]:
            tensor["shape"] = [int(dim) for dim in tensor["shape"]]
        return document

    def infer(self, request):
        return answer(self._call("ModelInfer", message(request), headers=request.headers, deadline=request.deadline)[0])

    def stream(self, requests):
        sent = [message(request) | {"id": str(i)} for i, request in enumerate(requests)]
        got = self._call("ModelStreamInfer", *sent)
        by_id = {int(entry["infer_response"]["id"]): entry for entry in got}
        return [Refused("", by_id[i]["error_message"]) if by_id[i]["error_message"] else answer(by_id[i]["infer_response"]) for i in range(len(got))]

    def index(self):
        states = defaultdict(dict)
        for entry in self._one("RepositoryIndex")["models"]:
            states[entry["name"]][entry["version"]] = entry["state"]
        return states

    def load(self, model, config=None):
        self._one("RepositoryModelLoad", modelName=model, parameters={} if config is None else {"config": {"stringParam": config}})

    def unload(self, model):
        self._one("RepositoryModelUnload", modelName=model)

    def statistics(self, model="", version=""):
        return self._one("ModelStatistics", name=model, version=version)["model_stats"]

    def config(self, model, version=""):
        return self._one("ModelConfig", name=model, version=version)["config"]

    def trace_settings(self, model="", change=None):
        settings = {name: {} if value is None else {"value": value if isinstance(value, list) else [value]} for name, value in (change or {}).items()}
        document = self._one("TraceSetting", modelName=model, settings=settings)
        return {name: value["value"] for name, value in document["settings"].items()}

    def log_settings(self, change=None):
        kinds = {bool: "boolParam", int: "uint32Param", str: "stringParam"}
        settings = {name: {kinds[type(value)]: value} for name, value in (change or {}).items()}
        document = self._one("LogSettings", settings=settings)
        return {name: next(iter(value.values())) for name, value in document["settings"].items()}

    def shared_memory_status(self, kind):
        return list(self._one(f"{kind.title()}SharedMemoryStatus").get("regions", {}))

    def unregister_shared_memory(self, kind):
        self._one(f"{kind.title()}SharedMemoryUnregister")

    def register_shared_memory(self, kind):
        self._one(f"{kind.title()}SharedMemoryRegister", name="region")
