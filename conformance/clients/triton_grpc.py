"""tritonclient.grpc: with threads, with asyncio, and on a stream."""

from __future__ import annotations

import queue
from collections import defaultdict
from typing import Any

import tritonclient.grpc as sync
import tritonclient.grpc.aio as aio
from tritonclient.utils import InferenceServerException

from clients import Answer, AsyncCalls, Client, NotOffered, Refused, Request

WAIT = 60  # s: max time for an answer of a callback


def tensors(request: Request) -> dict[str, Any]:
    """Return the arguments that unary calls and streams share."""
    outputs = request.outputs or []
    if request.json or request.accept or any(output.json is not None for output in outputs):
        raise NotOffered("typed contents, and codings of answers")
    inputs = []
    for tensor in request.inputs:
        inputs.append(sync.InferInput(tensor.name, list(tensor.values.shape), tensor.datatype))
        inputs[-1].set_data_from_numpy(tensor.values)
    return {
        "model_name": request.model, "inputs": inputs, "model_version": request.version,
        "outputs": [sync.InferRequestedOutput(o.name, class_count=o.classes) for o in outputs] or None,
        "request_id": request.id, "priority": request.priority, "timeout": request.timeout,
        "parameters": request.parameters or None, "sequence_id": request.sequence, "sequence_start": request.sequence != 0,
    }  # fmt: skip


def coding(request: Request) -> str | None:
    if request.coding not in ("", "gzip", "deflate"):
        raise NotOffered("codings other than gzip and deflate")
    return request.coding or None


def options(request: Request) -> dict[str, Any]:
    headers = dict(request.headers) or None
    return tensors(request) | {"headers": headers, "client_timeout": request.deadline, "compression_algorithm": coding(request)}


def answer(result: Any) -> Answer:
    response = result.get_response()
    served = {
        name.removeprefix("sluice_"): str(getattr(value, value.WhichOneof("parameter_choice")))
        for name, value in response.parameters.items() if name.startswith("sluice_")
    }  # fmt: skip
    outputs = {output.name: result.as_numpy(output.name) for output in response.outputs}
    return Answer(outputs, response.model_name, response.model_version, response.id, served)


def refused(error: InferenceServerException) -> Refused:
    return Refused((error.status() or "").removeprefix("StatusCode."), error.message())


class TritonGRPC(Client):
    def __init__(self, target):
        super().__init__(target)
        self._client = sync.InferenceServerClient(target.grpc, **self._secure())
        self._client.register_plugin(self._add_headers)

    def _secure(self):
        if not self.target.ca:
            return {}
        certificate, key = self.target.certificate or (None, None)
        return {"ssl": True, "root_certificates": self.target.ca, "certificate_chain": certificate, "private_key": key}

    def _add_headers(self, request):
        request.headers.update(self.target.headers)

    def close(self):
        self._client.close()

    def _call(self, method: str, *args, **named):
        try:
            return getattr(self._client, method)(*args, **named)
        except InferenceServerException as error:
            raise refused(error) from error

    def live(self):
        return self._call("is_server_live")

    def ready(self):
        return self._call("is_server_ready")

    def model_ready(self, model, version=""):
        return self._call("is_model_ready", model, version)

    def server_metadata(self):
        return self._call("get_server_metadata", as_json=True)

    def model_metadata(self, model, version=""):
        document = self._call("get_model_metadata", model, version, as_json=True)
        for tensor in document["inputs"] + document["outputs"]:  # the JSON of protobuf has int64 as strings
            tensor["shape"] = [int(dim) for dim in tensor["shape"]]
        return document

    def infer(self, request):
        return answer(self._call("infer", **options(request)))

    def infer_many(self, requests):
        answers: queue.Queue = queue.Queue()
        for i, request in enumerate(requests):
            self._client.async_infer(callback=lambda result, error, i=i: answers.put((i, result, error)), **options(request))
        got = sorted((answers.get(timeout=WAIT) for _ in requests), key=lambda entry: entry[0])
        return [refused(error) if error else answer(result) for _, result, error in got]

    def infer_and_cancel(self, request):
        errors: queue.Queue = queue.Queue()
        call = self._client.async_infer(callback=lambda result, error: errors.put(error), **options(request))
        call.cancel()
        assert errors.get(timeout=WAIT).status() == "StatusCode.CANCELLED"

    def index(self):
        states = defaultdict(dict)
        for entry in self._call("get_model_repository_index").models:
            states[entry.name][entry.version] = entry.state
        return states

    def load(self, model, config=None):
        self._call("load_model", model, config=config)

    def unload(self, model):
        self._call("unload_model", model)

    def statistics(self, model="", version=""):
        return self._call("get_inference_statistics", model, version, as_json=True)["model_stats"]

    def config(self, model, version=""):
        return self._call("get_model_config", model, version, as_json=True)["config"]

    def trace_settings(self, model="", change=None):
        if change is None:
            document = self._call("get_trace_settings", model or None, as_json=True)
        else:
            document = self._call("update_trace_settings", model or None, change, as_json=True)
        return {name: value.get("value", []) for name, value in document["settings"].items()}

    def log_settings(self, change=None):
        if change is None:
            document = self._call("get_log_settings", as_json=True)
        else:
            document = self._call("update_log_settings", change, as_json=True)
        return {name: next(iter(value.values()), None) for name, value in document["settings"].items()}

    def shared_memory_status(self, kind):
        return list(self._call(f"get_{kind}_shared_memory_status").regions)

    def unregister_shared_memory(self, kind):
        self._call(f"unregister_{kind}_shared_memory")

    def register_shared_memory(self, kind):
        if kind == "cuda":
            self._call("register_cuda_shared_memory", "region", b"", 0, 64)
        else:
            self._call("register_system_shared_memory", "region", "/key", 64)


class TritonGRPCAsync(TritonGRPC):
    def __init__(self, target):
        Client.__init__(self, target)
        self._calls = AsyncCalls()
        self._calls.run(self._connect())

    async def _connect(self):
        self._client = aio.InferenceServerClient(self.target.grpc, **self._secure())
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
            raise refused(error) from error

    def infer_many(self, requests):
        async def ask(request):
            return answer(await self._await("infer", **options(request)))

        return self._calls.all(ask, requests)

    def stream(self, requests):
        async def sent():
            for i, request in enumerate(requests):
                yield tensors(request) | {"request_id": str(i)}

        async def session():
            results, errors = {}, []
            async for result, error in self._client.stream_infer(sent()):
                if error:
                    errors.append(refused(error))
                else:
                    results[int(result.get_response().id)] = answer(result)
            return [results.get(i) or errors.pop() for i in range(len(requests))]

        return self._calls.run(session())

    def infer_and_cancel(self, request):
        self._calls.cancel(self._client.infer(**options(request)), after=0)


class TritonStream(Client):
    """ModelStreamInfer by start_stream and async_stream_infer. The stream carries only inferences."""

    def __init__(self, target):
        super().__init__(target)
        self._unary = TritonGRPC(target)
        self._client = self._unary._client

    def close(self):
        self._unary.close()

    def infer(self, request):
        got = self.infer_many([request])[0]
        if isinstance(got, Refused):
            raise got
        return got

    def infer_many(self, requests):
        answers: queue.Queue = queue.Queue()
        first = requests[0]  # metadata and coding are those of the stream
        self._client.start_stream(
            lambda result, error: answers.put((result, error)), stream_timeout=first.deadline,
            headers=dict(first.headers) or None, compression_algorithm=coding(first),
        )  # fmt: skip
        try:
            for i, request in enumerate(requests):
                # An answer is matched by its id: they come in the order in which they are ready.
                self._client.async_stream_infer(**tensors(request) | {"request_id": request.id or f"stream-{i}"})
            got = [answers.get(timeout=WAIT) for _ in requests]
        except InferenceServerException as ended:  # the stream was refused before all was sent; its callback knows why
            raise refused(answers.get(timeout=WAIT)[1]) from ended
        finally:
            self._client.stop_stream()
        if len(requests) == 1:
            return [refused(error) if error else answer(result) for result, error in got]
        results = {result.get_response().id: answer(result) for result, error in got if not error}
        errors = iter([refused(error) for _, error in got if error])
        return [results.get(request.id or f"stream-{i}") or next(errors) for i, request in enumerate(requests)]

    def stream(self, requests):
        return self.infer_many(requests)

    def infer_and_cancel(self, request):
        answers: queue.Queue = queue.Queue()
        self._client.start_stream(lambda result, error: answers.put(error))
        self._client.async_stream_infer(**tensors(request))
        self._client.stop_stream(cancel_requests=True)
        assert "cancelled" in answers.get(timeout=WAIT).message().lower()
