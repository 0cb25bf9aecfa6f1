"""The Python client of this repository, with threads and with asyncio."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import ml_dtypes
import numpy as np
import sluice

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
        scheme = "https" if target.ca else "http"
        verify = {"verify": str(target.ca)} if target.ca else {}
        self._client = self.kind(target.url, f"{scheme}://{target.admin}", sticky_header=STICKY, retries=0, **verify, **self._token())

    def _token(self):
        bearer = self.target.headers.get("authorization")
        return {"token": bearer.removeprefix("Bearer ")} if bearer else {}

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
        async def one(request):
            try:
                return answer(request, await self._await("infer", request.model, inputs(request), **options(request)))
            except Refused as error:
                return error

        async def all_of_them():
            return await asyncio.gather(*map(one, requests))

        return self._calls.run(all_of_them())
