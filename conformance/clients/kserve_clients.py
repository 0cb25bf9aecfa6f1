"""The clients of the package kserve, over REST and gRPC. kserve calls both alpha."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable

import grpc
import httpx
import kserve
from kserve.errors import InferenceError, InvalidInput
from kserve.protocol.infer_type import RequestedOutput

from clients import Answer, AsyncCalls, Client, NotOffered, Output, Refused, Request, http_error

logging.getLogger("kserve.trace").setLevel(logging.CRITICAL)  # it logs each error with its trace


def to_kserve(request: Request, parameters: dict[str, Any], form: Callable[[Output], dict[str, Any]] = lambda _: {}) -> kserve.InferRequest:
    """Return a request as kserve has it. form returns the parameters that say whether an output is JSON."""
    if request.coding or request.accept:
        raise NotOffered("compression")
    inputs = []
    for tensor in request.inputs:
        if tensor.values.size == 0 and not request.json:
            raise NotOffered("it sends an empty tensor as neither data nor bytes")
        inputs.append(kserve.InferInput(tensor.name, list(tensor.values.shape), tensor.datatype))
        inputs[-1].set_data_from_numpy(tensor.values, binary_data=not request.json)
    outputs = None
    if request.outputs is not None:
        outputs = [RequestedOutput(o.name, form(o) | ({"classification": o.classes} if o.classes else {})) for o in request.outputs]
    named = {"priority": request.priority or None, "timeout": request.timeout, "sequence_id": request.sequence or None}
    parameters = request.parameters | parameters | {name: value for name, value in named.items() if value is not None}
    return kserve.InferRequest(
        request.model, inputs, request_id=request.id or None, model_version=request.version or None,
        parameters=parameters, request_outputs=outputs,
    )  # fmt: skip


class _KServe(Client):
    def __init__(self, target):
        super().__init__(target)
        self._calls = AsyncCalls()
        self._calls.run(self._connect())

    def close(self):
        self._calls.run(self._client.close())
        self._calls.close()

    def _run(self, coroutine):
        try:
            return self._calls.run(coroutine)
        except (InferenceError, InvalidInput) as error:  # of the client itself
            raise NotOffered(str(error)) from error

    def infer(self, request):
        return self._run(self._infer(request))

    def infer_many(self, requests):
        async def one(request):
            try:
                return await self._infer(request)
            except Refused as error:
                return error

        async def all_of_them():
            return await asyncio.gather(*map(one, requests))

        return self._run(all_of_them())


def outputs(answer: kserve.InferResponse) -> dict[str, Any]:
    return {output.name: output.as_numpy() for output in answer.outputs}


class KServeREST(_KServe):
    protocol = "v2"

    async def _connect(self):
        verify = self.target.ssl_context() or True
        self._client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol=self.protocol, verify=verify, retries=0))

    async def _await(self, method: str, *args: Any, **named: Any) -> Any:
        try:
            return await getattr(self._client, method)(self.target.url, *args, **named)
        except httpx.HTTPStatusError as error:
            raise http_error(error.response.status_code, error.response.json()["error"]) from error

    def live(self):
        return self._run(self._await("is_server_live", headers=self.target.headers))

    def ready(self):
        return self._run(self._await("is_server_ready", headers=self.target.headers))

    def model_ready(self, model, version=""):
        if version:
            raise NotOffered("versions")
        return self._run(self._await("is_model_ready", model, headers=self.target.headers))

    async def _infer(self, request):
        if request.version or request.deadline:
            raise NotOffered("versions, and a deadline that the gateway sees")
        form = lambda output: {"binary_data": not (request.json if output.json is None else output.json)}
        asked = to_kserve(request, {"binary_data_output": not request.json}, form)
        headers: dict[str, str] = {}
        answer = await self._await("infer", asked, model_name=request.model, headers=self.target.headers | request.headers, response_headers=headers)
        served = {name: headers[f"sluice-{name}"] for name in ("version", "route", "reason")}
        return Answer(outputs(answer), answer.model_name, served["version"], answer.id, served)


class KServeREST1(KServeREST):
    """The protocol V1, which has rows instead of tensors."""

    protocol = "v1"

    def live(self):
        return self._run(self._await("is_server_live", headers=self.target.headers))

    def ready(self):
        raise NotOffered("readiness of the server")

    def model_ready(self, model, version=""):
        try:
            return super().model_ready(model, version)
        except Refused as error:  # a model that is not known is an error, as KServe answers it
            if error.code != "NOT_FOUND":
                raise
            return False

    def infer(self, request):
        raise NotOffered("tensors")

    def infer_many(self, requests):
        raise NotOffered("tensors")

    def v1(self, path, document=None):
        model, colon, verb = path.removeprefix("/").partition(":")
        if verb != "predict" or "/" in model:
            raise NotOffered("anything but predictions")
        return self._run(self._await("infer", document, model_name=model, headers=self.target.headers))


class KServeGRPC(_KServe):
    async def _connect(self):
        secure: dict[str, Any] = {"use_ssl": True, "root_certificates": str(self.target.ca)} if self.target.ca else {}
        if self.target.certificate:
            secure |= {"certificate_chain": str(self.target.certificate[0]), "private_key": str(self.target.certificate[1])}
        self._client = kserve.InferenceGRPCClient(self.target.grpc, retries=0, **secure)

    def _headers(self, request: Request | None = None):
        return list((self.target.headers | (request.headers if request else {})).items())

    async def _await(self, method: str, *args: Any, **named: Any) -> Any:
        try:
            return await getattr(self._client, method)(*args, **named)
        except grpc.RpcError as error:
            raise Refused(error.code().name, error.details()) from error

    def live(self):
        return self._run(self._await("is_server_live", headers=self._headers()))

    def ready(self):
        return self._run(self._await("is_server_ready", headers=self._headers()))

    def model_ready(self, model, version=""):
        if version:
            raise NotOffered("versions")
        return self._run(self._await("is_model_ready", model, headers=self._headers()))

    async def _infer(self, request):
        if any(output.json is not None for output in request.outputs or []):
            raise NotOffered("the form of an output")
        options = {"timeout": request.deadline} if request.deadline else {}
        answer = await self._await("infer", to_kserve(request, {}), headers=self._headers(request), **options)
        parameters = {name: value.WhichOneof("parameter_choice") for name, value in answer.parameters.items()}
        served = {
            name.removeprefix("sluice_"): str(getattr(answer.parameters[name], kind)) for name, kind in parameters.items() if name.startswith("sluice_")
        }
        return Answer(outputs(answer), answer.model_name, answer.model_version, answer.id, served)

    def infer_and_cancel(self, request):
        async def session():
            call = asyncio.ensure_future(self._infer(request))
            await asyncio.sleep(0.05)
            call.cancel()
            try:
                await call
            except (asyncio.CancelledError, Refused):
                return
            raise AssertionError("the call was not cancelled")

        self._run(session())
