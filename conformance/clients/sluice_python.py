"""The Python clients of this repository, over HTTP and gRPC, with threads and with asyncio."""

from __future__ import annotations

from collections import defaultdict
from typing import Iterable

import ml_dtypes
import numpy as np
import sluice
import sluice.grpc

from clients import Answer, AsyncCalls, Client, NotOffered, Refused, Request, Tensor, http_error

STICKY = "x-user-id"


def inputs(request: Request) -> dict[str, sluice.Tensor]:
    def value(tensor: Tensor):
        values = tensor.values.astype(np.float32) if tensor.datatype == "BF16" else tensor.values
        return sluice.Tensor(values, tensor.datatype, values.shape)

    return {tensor.name: value(tensor) for tensor in request.inputs}


def options(request: Request) -> dict:
    outputs = request.outputs
    missing = request.coding or request.accept or request.deadline or request.parameters or request.sequence
    if missing or request.headers.keys() - {STICKY} or any(o.classes or o.json is not None for o in outputs or []):
        raise NotOffered("compression, deadlines of a call, parameters of the caller, and classification")
    return {
        "version": int(request.version) if request.version else None, "outputs": [o.name for o in outputs] if outputs else None,
        "request_id": request.id or None, "sticky_key": request.headers.get(STICKY), "priority": request.priority or None,
        "timeout": request.timeout / 1e6 if request.timeout else None, "json": request.json,
    }  # fmt: skip


def answer(request: Request, result: sluice.InferResult) -> Answer:
    datatypes = {f"{tensor.name}_out": tensor.datatype for tensor in request.inputs}
    outputs = {
        name: values.astype(ml_dtypes.bfloat16) if datatypes.get(name) == "BF16" else values for name, values in result.outputs.items()
    }
    served = {"version": str(result.version), "route": result.route, "reason": result.reason}
    return Answer(outputs, request.model, str(result.version), result.request_id, served)


class SluicePython(Client):
    kind = sluice.Client

    def __init__(self, target):
        super().__init__(target)
        self._client = self.kind(target.url, f"{target.scheme}://{target.admin}", **self._options())

    def _options(self):
        key = self.target.headers.get("authorization", "").removeprefix("Bearer ") or None
        cert = tuple(map(str, self.target.certificate)) if self.target.certificate else None
        return {"sticky_header": STICKY, "retries": 0, "token": key, "verify": str(self.target.ca) if self.target.ca else True, "cert": cert}

    def close(self):
        self._client.close()

    def _call(self, method: str, *args, **named):
        try:
            return getattr(self._client, method)(*args, **named)
        except sluice.SluiceError as error:
            raise http_error(error.status, error.message) from error

    def live(self):
        return self._call("live")

    def ready(self):
        return self._call("ready")

    def model_ready(self, model, version=""):
        return self._call("model_ready", model, int(version) if version else None)

    def model_metadata(self, model, version=""):
        return self._call("model_metadata", model, int(version) if version else None)

    def infer(self, request):
        return answer(request, self._call("infer", request.model, inputs(request), **options(request)))

    def config(self, model, version=""):
        return self._call("model_config", model, int(version) if version else None)

    def statistics(self, model="", version=""):
        return self._call("statistics", model, int(version) if version else None)

    def index(self):
        states = defaultdict(dict)
        for entry in self._call("index"):
            states[entry["name"]][entry.get("version", "")] = entry["state"]
        return states

    def predict(self, model, rows):
        predictions = self._call("predict", model, rows)
        return predictions if isinstance(predictions, list) else predictions.to_dict("records")  # a DataFrame if pandas is installed


class SluicePythonAsync(SluicePython):
    kind = sluice.AsyncClient

    def __init__(self, target):
        self._calls = AsyncCalls()
        super().__init__(target)

    def close(self):
        self._calls.run(self._client.aclose())
        self._calls.close()

    def _call(self, method: str, *args, **named):
        return self._calls.run(self._await(method, *args, **named))

    async def _await(self, method: str, *args, **named):
        try:
            return await getattr(self._client, method)(*args, **named)
        except sluice.SluiceError as error:
            raise http_error(error.status, error.message) from error

    def infer_many(self, requests):
        async def ask(request):
            return answer(request, await self._await("infer", request.model, inputs(request), **options(request)))

        return self._calls.all(ask, requests)

    def infer_and_cancel(self, request):
        self._calls.cancel(self._client.infer(request.model, inputs(request), **options(request)), after=0.05)


class SluicePythonGRPC(SluicePython):
    kind = sluice.grpc.Client

    def __init__(self, target):
        Client.__init__(self, target)
        self._client = self.kind(f"{target.scheme}://{target.grpc}", **self._options())

    def infer(self, request):
        if request.json:
            raise NotOffered("typed contents")
        return super().infer(request)

    def load(self, model, config=None):
        if config is not None:
            raise NotOffered("a configuration of the caller's")
        self._call("load", model)

    def unload(self, model):
        self._call("unload", model)

    def stream(self, requests):
        sent = [stream_request(request) for request in requests]
        return in_order(requests, sent, self._client.stream(sent))


class SluicePythonGRPCAsync(SluicePythonGRPC, SluicePythonAsync):
    kind = sluice.grpc.AsyncClient

    def __init__(self, target):
        Client.__init__(self, target)
        self._calls = AsyncCalls()
        self._calls.run(self._connect())

    async def _connect(self):
        self._client = self.kind(f"{self.target.scheme}://{self.target.grpc}", **self._options())

    def stream(self, requests):
        sent = [stream_request(request) for request in requests]

        async def session():
            return [got async for got in self._client.stream(sent)]

        return in_order(requests, sent, self._calls.run(session()))


def stream_request(request: Request) -> sluice.grpc.Request:
    return sluice.grpc.Request(request.model, inputs(request))


def in_order(requests: list[Request], sent: list[sluice.grpc.Request], got: Iterable[sluice.grpc.Answer]) -> list[Answer | Refused]:
    """Return the answers of a stream in the order of the requests."""
    numbers = {id(request): i for i, request in enumerate(sent)}
    answers: list = [None] * len(sent)
    for one in got:
        i = numbers[id(one.request)]
        answers[i] = http_error(one.error.status, one.error.message) if one.error else answer(requests[i], one.result)
    return answers
