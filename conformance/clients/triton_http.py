"""tritonclient.http, with gevent and with asyncio."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import gevent.ssl
import tritonclient.http as sync
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException

from clients import Answer, AsyncCalls, Client, NotOffered, Request, http_error

CODINGS = ("", "gzip", "deflate")


def options(request: Request) -> dict[str, Any]:
    if request.coding not in CODINGS or request.accept not in CODINGS or request.deadline:
        raise NotOffered("codings other than gzip and deflate, and a deadline of one call")
    named = None
    if request.outputs is not None:
        named = [
            sync.InferRequestedOutput(o.name, binary_data=not (request.json if o.json is None else o.json), class_count=o.classes)
            for o in request.outputs
        ]
    elif request.json:
        raise NotOffered("without named outputs it asks for binary ones")
    inputs = []
    for tensor in request.inputs:
        inputs.append(sync.InferInput(tensor.name, list(tensor.values.shape), tensor.datatype))
        try:
            inputs[-1].set_data_from_numpy(tensor.values, binary_data=not request.json)
        except InferenceServerException as error:
            raise NotOffered(str(error)) from error
    return {
        "model_name": request.model, "inputs": inputs, "model_version": request.version, "outputs": named,
        "request_id": request.id, "priority": request.priority, "timeout": request.timeout,
        "headers": dict(request.headers) or None, "parameters": request.parameters or None,
        "request_compression_algorithm": request.coding or None, "response_compression_algorithm": request.accept or None,
        "sequence_id": request.sequence, "sequence_start": request.sequence != 0,
    }  # fmt: skip


def answer(result: Any) -> Answer:
    document = result.get_response()
    outputs = {output["name"]: result.as_numpy(output["name"]) for output in document["outputs"]}
    return Answer(outputs, document["model_name"], document["model_version"], document.get("id", ""))


class TritonHTTP(Client):
    def __init__(self, target):
        super().__init__(target)
        secure = {}
        if target.ca:
            secure = {"ssl": True, "ssl_context_factory": self._ssl_context}
        self._client = sync.InferenceServerClient(target.http, concurrency=16, **secure)
        self._client.register_plugin(self._add_headers)

    def _ssl_context(self):
        context = gevent.ssl.create_default_context(cafile=str(self.target.ca))
        if self.target.certificate:
            context.load_cert_chain(*self.target.certificate)
        return context

    def _add_headers(self, request):
        request.headers.update(self.target.headers)

    def close(self):
        self._client.close()

    def _call(self, method: str, *args, **named):
        try:
            return getattr(self._client, method)(*args, **named)
        except InferenceServerException as error:
            raise http_error(error.status(), error.message()) from error

    def live(self):
        return self._call("is_server_live")

    def ready(self):
        return self._call("is_server_ready")

    def model_ready(self, model, version=""):
        return self._call("is_model_ready", model, version)

    def server_metadata(self):
        return self._call("get_server_metadata")

    def model_metadata(self, model, version=""):
        return self._call("get_model_metadata", model, version)

    def infer(self, request):
        return answer(self._call("infer", **options(request)))

    def infer_many(self, requests):
        calls = [self._client.async_infer(**options(request)) for request in requests]
        results = []
        for call in calls:
            try:
                results.append(answer(call.get_result()))
            except InferenceServerException as error:
                results.append(http_error(error.status(), error.message()))
        return results

    def index(self):
        states = defaultdict(dict)
        for entry in self._call("get_model_repository_index"):
            states[entry["name"]][entry.get("version", "")] = entry.get("state", "")
        return states

    def load(self, model, config=None):
        self._call("load_model", model, config=config)

    def unload(self, model):
        self._call("unload_model", model)

    def statistics(self, model="", version=""):
        return self._call("get_inference_statistics", model, version)["model_stats"]

    def config(self, model, version=""):
        return self._call("get_model_config", model, version)

    def trace_settings(self, model="", change=None):
        if change is None:
            return _lists(self._call("get_trace_settings", model or None))
        return _lists(self._call("update_trace_settings", model or None, change))

    def log_settings(self, change=None):
        return self._call("get_log_settings") if change is None else self._call("update_log_settings", change)

    def shared_memory_status(self, kind):
        return self._call(f"get_{kind}_shared_memory_status")

    def unregister_shared_memory(self, kind):
        self._call(f"unregister_{kind}_shared_memory")

    def register_shared_memory(self, kind):
        if kind == "cuda":
            self._call("register_cuda_shared_memory", "region", b"handle", 0, 64)
        else:
            self._call("register_system_shared_memory", "region", "/key", 64)


def _lists(settings: dict[str, Any]) -> dict[str, list[str]]:
    return {name: value if isinstance(value, list) else [value] for name, value in settings.items()}


class TritonHTTPAsync(TritonHTTP):
    def __init__(self, target):
        Client.__init__(self, target)
        self._calls = AsyncCalls()
        self._calls.run(self._connect())

    async def _connect(self):
        secure = {}
        if self.target.ca:
            secure = {"ssl": True, "ssl_context": self.target.ssl_context()}
        self._client = aio.InferenceServerClient(self.target.http, **secure)
        self._client.register_plugin(self._add_headers)

    def close(self):
        self._calls.run(self._client.close())
        self._calls.close()

    def _call(self, method: str, *args, **named):
        return self._calls.run(self._await(method, *args, **named))

    async def _await(self, method: str, *args, **named):
        try:
            return await getattr(self._client, method)(*args, **named)
        except InferenceServerException as error:
            raise http_error(error.status(), error.message()) from error

    def infer_many(self, requests):
        async def ask(request):
            return answer(await self._await("infer", **options(request)))

        return self._calls.all(ask, requests)
