"""The Go clients of this repository, over HTTP and gRPC. conformance/goclient makes the calls."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections import defaultdict
from typing import Any

from clients import Answer, Client, NotOffered, Refused, Request, http_error
from clients.plain_http import from_raw, raw
from gateway import ROOT

STICKY = "x-user-id"


def call(request: Request) -> dict[str, Any]:
    outputs = request.outputs or []
    missing = request.coding or request.accept or request.parameters or request.sequence
    if missing or request.headers.keys() - {STICKY} or any(o.classes or o.json is not None for o in outputs):
        raise NotOffered("compression, parameters of the caller, and classification")
    tensors = [
        {"Name": t.name, "Datatype": t.datatype, "Shape": t.values.shape, "Data": base64.b64encode(raw(t)).decode()} for t in request.inputs
    ]
    infer = {
        "Inputs": tensors, "Version": int(request.version or 0), "Outputs": [o.name for o in outputs], "RequestID": request.id,
        "StickyKey": request.headers.get(STICKY, ""), "Priority": request.priority, "Timeout": (request.timeout or 0) * 1000,
        "JSON": request.json,
    }  # fmt: skip
    return {"Method": "infer", "Model": request.model, "Request": infer, "Deadline": int((request.deadline or 0) * 1e9)}


def answer(model: str, result: dict[str, Any]) -> Answer:
    outputs = {o["Name"]: from_raw(o["Datatype"], o["Shape"] or [], base64.b64decode(o["Data"] or "")) for o in result["Outputs"]}
    version = str(result["Version"])
    return Answer(outputs, model, version, result["RequestID"], {"version": version, "route": result["Route"], "reason": result["Reason"]})


class SluiceGo(Client):
    def __init__(self, target):
        super().__init__(target)
        program = os.environ.get("GOCLIENT", str(ROOT / ".cache" / "bin" / "goclient"))
        command = [program, "-sticky", STICKY, *self._addresses()]
        if target.ca:
            command += ["-ca", target.ca]
        if target.certificate:
            command += ["-cert", target.certificate[0], "-key", target.certificate[1]]
        token = {"SLUICE_TOKEN": target.headers["authorization"].removeprefix("Bearer ")} if target.headers else {}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | token)

    def _addresses(self):
        return ["-data", self.target.url, "-admin", f"{self.target.scheme}://{self.target.admin}"]

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def _call(self, method: str, model: str = "", version: str = "") -> Any:
        return unwrap(self._ask({"Method": method, "Model": model, "Version": int(version or 0)}))

    def _holds(self, method: str, *args: str) -> bool:
        reply = self._ask({"Method": method, "Model": args[0] if args else "", "Version": int(args[1] or 0) if args else 0})
        return "error" not in reply

    def live(self):
        return self._holds("live")

    def ready(self):
        return self._holds("ready")

    def model_ready(self, model, version=""):
        return self._holds("model_ready", model, version)

    def model_metadata(self, model, version=""):
        return self._call("model_metadata", model, version)

    def config(self, model, version=""):
        return self._call("model_config", model, version)

    def statistics(self, model="", version=""):
        return self._call("statistics", model, version)

    def infer(self, request):
        if request.deadline:
            raise NotOffered("the gateway does not see the deadline of a caller over HTTP")
        return answer(request.model, unwrap(self._ask(call(request))))

    def infer_many(self, requests, method="many"):
        replies = self._ask({"Method": method, "Many": [call(request) for request in requests]})["many"]
        return [
            http_error(reply.get("status"), reply["error"]) if "error" in reply else answer(request.model, reply["result"])
            for request, reply in zip(requests, replies, strict=True)
        ]

    def infer_and_cancel(self, request):
        assert "canceled" in self._ask(call(request) | {"Cancel": True})["error"]

    def index(self):
        states = defaultdict(dict)
        for entry in self._call("index"):
            states[entry["name"]][entry["version"]] = entry["state"]
        return states

    def load(self, model, config=None):
        if config is not None:
            raise NotOffered("a configuration of the caller's")
        self._call("load", model)

    def unload(self, model):
        self._call("unload", model)


class SluiceGoGRPC(SluiceGo):
    def _addresses(self):
        return ["-grpc", self.target.grpc]

    def infer(self, request):
        if request.json:
            raise NotOffered("typed contents")
        reply = self._ask(call(request))
        if "status" not in reply and "deadline" in reply.get("error", ""):
            raise Refused("DEADLINE_EXCEEDED", reply["error"])
        return answer(request.model, unwrap(reply))

    def stream(self, requests):
        return self.infer_many(requests, "stream")


def unwrap(reply: dict[str, Any]) -> Any:
    if "error" not in reply:
        return reply["result"]
    if "status" not in reply and ("JSON" in reply["error"] or "binary" in reply["error"]):
        raise NotOffered(reply["error"])
    raise http_error(reply.get("status"), reply["error"])
