"""Real clients behind one set of methods, so that each feature has one test for all of them.

An adapter is as thin as it can be: it calls the client as the client's documentation does, and turns its answers and
errors into Answer and Refused. A method that an adapter does not have raises NotOffered.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from gateway import Target

# The clients by the name that they have in docs/protocol.md: module and class. The large ones are not in CI.
SMALL = {
    "tritonclient http": ("triton_http", "TritonHTTP"),
    "tritonclient http.aio": ("triton_http", "TritonHTTPAsync"),
    "tritonclient grpc": ("triton_grpc", "TritonGRPC"),
    "tritonclient grpc.aio": ("triton_grpc", "TritonGRPCAsync"),
    "tritonclient stream": ("triton_grpc", "TritonStream"),
    "Go HTTP": ("sluice_go", "SluiceGo"),
    "Go gRPC": ("sluice_go", "SluiceGoGRPC"),
    "Python HTTP": ("sluice_python", "SluicePython"),
    "Python HTTP asyncio": ("sluice_python", "SluicePythonAsync"),
    "Python gRPC": ("sluice_python", "SluicePythonGRPC"),
    "Python gRPC asyncio": ("sluice_python", "SluicePythonGRPCAsync"),
    "grpcurl": ("grpcurl", "GRPCurl"),
    "plain HTTP": ("plain_http", "PlainHTTP"),
}
LARGE = {
    "kserve REST": ("kserve_clients", "KServeREST"),
    "kserve REST V1": ("kserve_clients", "KServeREST1"),
    "kserve gRPC": ("kserve_clients", "KServeGRPC"),
    "MLflow": ("mlflow_client", "MLflow"),
}
CLIENTS = SMALL | LARGE


class NotOffered(Exception):
    """The client does not have this feature, so no server can be asked for it."""


class Refused(Exception):
    """The server refused a call. Codes are those of gRPC; HTTP's are translated."""

    def __init__(self, code: str, text: str):
        super().__init__(code, text)
        self.code, self.text = code, text


# The codes of HTTP's statuses, as docs/protocol.md says.
STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def http_error(status: int | str | None, text: str) -> Refused:
    return Refused(STATUSES.get(int(status or 0), f"HTTP {status}"), text)


@dataclass(frozen=True)
class Tensor:
    name: str
    datatype: str
    values: np.ndarray  # BF16 with the dtype of ml_dtypes; BYTES with objects of bytes


@dataclass(frozen=True)
class Output:
    name: str
    classes: int = 0
    json: bool | None = None  # None: as the inputs


@dataclass(frozen=True)
class Request:
    model: str
    inputs: list[Tensor]
    version: str = ""
    outputs: list[Output] | None = None
    id: str = ""
    json: bool = False  # JSON over HTTP, typed contents over gRPC; else binary or raw
    priority: int = 0
    timeout: int | None = None  # µs, for the gateway
    parameters: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    coding: str = ""  # of the request's body or message
    accept: str = ""  # coding of the answer
    deadline: float | None = None  # s, of the client
    sequence: int = 0


@dataclass(frozen=True)
class Answer:
    outputs: dict[str, np.ndarray]  # BYTES with objects of bytes, or of str if they came as JSON
    model: str
    version: str
    id: str
    served: dict[str, str] | None = None  # version, route and reason; None: the client does not show them


def _not_offered(method: str):
    def call(self: Client, *_: Any, **__: Any) -> NoReturn:
        raise NotOffered(method)

    return call


class Client:
    """The base of all adapters."""

    def __init__(self, target: Target):
        self.target = target

    def close(self) -> None:
        pass

    live = _not_offered("live")  # () -> bool
    ready = _not_offered("ready")  # () -> bool
    model_ready = _not_offered("model_ready")  # (model, version="") -> bool
    services = _not_offered("services")  # () -> names of the services of gRPC, by reflection
    grpc_health = _not_offered("grpc_health")  # () -> the status of grpc.health.v1
    server_metadata = _not_offered("server_metadata")  # () -> {"name", "version", "extensions"}
    model_metadata = _not_offered("model_metadata")  # (model, version="") -> the protocol's document
    infer = _not_offered("infer")  # (Request) -> Answer
    infer_in_chunks = _not_offered("infer_in_chunks")  # (Request) -> Answer, without a Content-Length
    infer_raw = _not_offered("infer_raw")  # (model, bytes) -> Answer: the bytes are the only input, and the whole body
    infer_many = _not_offered("infer_many")  # ([Request]) -> [Answer or Refused], all in flight at once
    stream = _not_offered("stream")  # ([Request]) -> [Answer or Refused], on one stream; the refused ones in any order
    infer_and_cancel = _not_offered("infer_and_cancel")  # (Request) -> None: cancels the call once it is on its way
    index = _not_offered("index")  # () -> {model: {version: state}}
    load = _not_offered("load")  # (model, config=None)
    unload = _not_offered("unload")  # (model)
    statistics = _not_offered("statistics")  # (model="", version="") -> the list of model_stats
    config = _not_offered("config")  # (model, version="") -> Triton's document
    trace_settings = _not_offered("trace_settings")  # (model="", change=None) -> {name: [values]}
    log_settings = _not_offered("log_settings")  # (change=None) -> {name: value}
    shared_memory_status = _not_offered("shared_memory_status")  # (kind) -> list of regions; kind is system or cuda
    unregister_shared_memory = _not_offered("unregister_shared_memory")  # (kind)
    register_shared_memory = _not_offered("register_shared_memory")  # (kind)
    v1 = _not_offered("v1")  # (path after /v1/models, document to post) -> document
    invocations = _not_offered("invocations")  # (document) -> document
    invocations_csv = _not_offered("invocations_csv")  # (text) -> document
    invocations_of_frames = _not_offered("invocations_of_frames")  # (rows, columns) -> predictions for each kind of data that it sends
    predict = _not_offered("predict")  # (model, records) -> records


class AsyncCalls:
    """Runs the coroutines of a client of asyncio."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(coroutine)

    def all(self, ask: Callable[[Request], Awaitable[Answer]], requests: Iterable[Request]) -> list[Answer | Refused]:
        """Ask all requests at once."""

        async def one(request: Request) -> Answer | Refused:
            try:
                return await ask(request)
            except Refused as error:
                return error

        async def every() -> list[Answer | Refused]:
            return await asyncio.gather(*map(one, requests))

        return self.run(every())

    def cancel(self, coroutine: Any, after: float) -> None:
        """Cancel a call once it is on its way, after some seconds."""

        async def session() -> None:
            call = asyncio.ensure_future(coroutine)
            await asyncio.sleep(after)
            call.cancel()
            try:
                await call
            except asyncio.CancelledError:
                return
            raise AssertionError("the call was not cancelled")

        self.run(session())

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


def connect(name: str, target: Target) -> Client:
    module, kind = CLIENTS[name]
    return getattr(importlib.import_module(f"clients.{module}"), kind)(target)
