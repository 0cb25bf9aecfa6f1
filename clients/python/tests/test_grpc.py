"""Features of the gRPC clients alone, tested against a real gateway. Errors and retries are tested against a fake server."""

from __future__ import annotations

import itertools
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import grpc
import grpc_tools
import grpc_tools.protoc
import numpy as np
import pytest

import sluice
import sluice.grpc
from sluice import _grpc_calls, _messages
from sluice.grpc import Request

from .conftest import KINDS, ROOT, TOKEN, Connect, Gateway, over_grpc

X = {"x": np.array([1, -1], np.int16)}


def number(n: int) -> Request:
    return Request("echo_INT32", {"x": np.array([n], np.int32)})


@over_grpc
def test_stream(connect: Connect) -> None:
    client: Any = connect()
    requests = [number(n) if n % 10 else Request("absent", X) for n in range(200)]
    seen: List[Request] = []
    ids: List[str] = []
    for answer in client.stream(iter(requests), request_id="mine"):
        seen.append(answer.request)
        if answer.request.model == "absent":
            assert answer.result is None and (answer.error.status, answer.error.code) == (404, "NOT_FOUND")
            assert "unknown model" in answer.error.message
            ids.append(answer.error.request_id)
        else:
            assert answer.error is None and answer.result.outputs["x_out"].tolist() == answer.request.inputs["x"].tolist()
            ids.append(answer.result.request_id)
    assert len(seen) == 200 and set(map(id, seen)) == set(map(id, requests))
    assert set(ids) == {f"mine/{n + 1}" for n in range(200)}
    assert list(client.stream([])) == []


@over_grpc
def test_requests_that_raise(connect: Connect) -> None:
    client: Any = connect()

    def requests(last: Any) -> Iterator[Request]:
        yield number(1)
        yield number(2)
        yield last() if callable(last) else last

    for last, kind in ((lambda: 1 / 0, ZeroDivisionError), (Request("echo_INT32", {"x": [1]}), TypeError), (Request("m", X, timeout=0), ValueError)):
        answers = client.stream(requests(last))
        assert sorted(next(answers).result.outputs["x_out"][0] for _ in range(2)) == [1, 2]
        with pytest.raises(kind):
            next(answers)


@over_grpc
def test_a_stream_that_is_left(connect: Connect) -> None:
    client: Any = connect()
    answers = client.stream(number(n) for n in itertools.count())
    assert next(answers).error is None
    answers.close()
    assert client.infer("echo_INT32", {"x": np.array([7], np.int32)}).outputs["x_out"].tolist() == [7]


@over_grpc
def test_options_of_a_stream(connect: Connect) -> None:
    def served(client: Any, **options: Any) -> Any:
        flower = {"input": np.array([[6.4, 3.2, 4.5, 1.5]], np.float32)}
        (answer,) = client.stream([Request(options.pop("model"), flower, sticky_key=options.pop("own", None))], **options)
        return answer.result.version, answer.result.reason

    by_header, by_parameter = connect(sticky_header="X-User-Id"), connect(sticky_parameter="user")
    assert served(by_header, model="by_header", sticky_key="u1") == (2, "sticky")
    assert served(by_header, model="by_header", override=1, override_token=TOKEN) == (1, "override")
    assert served(by_parameter, model="by_parameter", own="u1") == (2, "sticky")
    with pytest.raises(ValueError, match="sticky_header"):
        served(by_parameter, model="by_parameter", sticky_key="u1")
    endless: Any = connect()
    with pytest.raises(sluice.SluiceError, match="no answer from .* in time"):
        list(endless.stream((number(1) for _ in itertools.count()), timeout=0.1))


@over_grpc
def test_models_are_not_loaded_by_request(connect: Connect) -> None:
    client: Any = connect()
    with pytest.raises(sluice.SluiceError, match="explicit"):
        client.load("iris")
    with pytest.raises(sluice.SluiceError, match="explicit"):
        client.unload("iris")


def test_documents_are_those_of_http(gateway: Gateway) -> None:
    def known(client: Any) -> Any:
        with client:
            statistics, config = client.statistics("iris", 2), client.model_config("iris", 1)
            for entry in statistics:
                entry.pop("response_stats", None)  # which gRPC's messages do not have
            return statistics, config, client.model_metadata("iris", 1), client.index(), len(client.statistics())

    over_http, over_grpc = known(KINDS["sync"](gateway)), known(KINDS["grpc"](gateway))
    statistics, config, *others = over_http
    assert over_grpc[0] == statistics and list(over_grpc[2:]) == others
    for name in ("name", "platform", "backend", "max_batch_size", "input", "output", "version_policy", "dynamic_batching"):
        assert over_grpc[1].get(name) == config.get(name), name


Behaviour = Callable[[Any, grpc.ServicerContext], Any]


class Fake(grpc.GenericRpcHandler):
    """A gateway that answers every call as a function does, and remembers metadata."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = lambda request, context: echo(request)
        self.asked: List[dict[str, Any]] = []

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method.rpartition("/")[2]

        def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
            self.asked.append(dict(context.invocation_metadata()))
            context.send_initial_metadata((("x-request-id", "r1"),))
            return bytes(self.behaviour(request_of(method, message), context).SerializeToString())

        return grpc.unary_unary_rpc_method_handler(answer)


def request_of(method: str, message: bytes) -> Any:
    m = _messages.request(method)
    m.ParseFromString(message)
    return m


def echo(request: Any) -> Any:
    m = _messages.reader("ModelInfer")(b"")
    m.model_version = "7"
    for tensor, raw in zip(request.inputs, request.raw_input_contents):
        m.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        m.raw_output_contents.append(raw)
    return m


@pytest.fixture(scope="module")
def server() -> Iterator[Tuple[str, Fake]]:
    fake, pool = Fake(), ThreadPoolExecutor(4)
    server = grpc.server(pool, handlers=[fake])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", fake
    server.stop(None).wait()
    pool.shutdown()


@pytest.fixture(params=["grpc", "grpc-async"])
def ask(request: pytest.FixtureRequest, server: Tuple[str, Fake]) -> Iterator[Callable[..., Any]]:
    """Calls infer of a client that is answered by a function."""

    def infer(behaviour: Behaviour, url: str = server[0], **options: Any) -> Any:
        server[1].behaviour, server[1].asked = behaviour, []
        client: Any = KINDS[request.param](Gateway("", "", url), backoff=0.001, **options)
        with client:
            return client.infer("m", X)

    yield infer


def refusing(fake: Fake, times: int, code: grpc.StatusCode, *trailers: Tuple[str, str]) -> Behaviour:
    def behaviour(message: Any, context: grpc.ServicerContext) -> Any:
        if len(fake.asked) > times:
            return echo(message)
        context.set_trailing_metadata(trailers)
        context.abort(code, "later")

    return behaviour


def test_retries(ask: Callable[..., Any], server: Tuple[str, Fake]) -> None:
    fake = server[1]

    def attempts(times: int, code: grpc.StatusCode, *trailers: Tuple[str, str], **options: Any) -> int:
        try:
            ask(refusing(fake, times, code, *trailers), **options)
        except sluice.SluiceError:
            return -len(fake.asked)
        return len(fake.asked)

    full, stopping = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE
    later = ("grpc-retry-pushback-ms", "1")
    assert attempts(0, full) == 1
    assert attempts(1, full, later) == 2
    assert attempts(2, stopping, later) == 3
    assert attempts(9, stopping, later) == -3
    assert attempts(9, stopping, later, retries=0) == -1
    for trailers in ((), (("grpc-retry-pushback-ms", "-1"),), (("grpc-retry-pushback-ms", "x"),), (("grpc-retry-pushback-ms", "20000"),)):
        assert attempts(1, stopping, *trailers) == -1  # it may have run, or must not be sent again, or not so soon
    began = time.monotonic()
    assert attempts(1, full, ("grpc-retry-pushback-ms", "50")) == 2 and time.monotonic() - began >= 0.05


def test_errors(ask: Callable[..., Any], server: Tuple[str, Fake]) -> None:
    def error(behaviour: Behaviour, **options: Any) -> sluice.SluiceError:
        with pytest.raises(sluice.SluiceError) as caught:
            ask(behaviour, retries=0, **options)
        return caught.value

    for code, status in (("INVALID_ARGUMENT", 400), ("PERMISSION_DENIED", 403), ("INTERNAL", 500), ("DATA_LOSS", 500), ("DEADLINE_EXCEEDED", 504)):
        e = error(refusing(server[1], 9, grpc.StatusCode[code]))
        assert (e.status, e.code, e.message, e.request_id, e.retry_after) == (status, code, "later", "r1", None)
    e = error(refusing(server[1], 9, grpc.StatusCode.UNAVAILABLE, ("grpc-retry-pushback-ms", "1500")))
    assert (e.status, e.retry_after) == (503, 1.5)
    assert "is too long" in str(error(lambda m, _: echo(m), max_answer_bytes=10))

    def slow(message: Any, context: grpc.ServicerContext) -> Any:
        while context.is_active():
            time.sleep(0.01)
        return echo(message)

    def answer(**change: Any) -> Behaviour:
        def behaviour(request: Any, _: Any) -> Any:
            m = echo(request)
            for name, value in change.items():
                setattr(m.outputs[0], name, value) if name != "shape" else m.outputs[0].shape.__setitem__(0, value)
            return m

        return behaviour

    assert str(error(slow, timeout=0.1)).endswith(" in time")
    assert "is not valid: output 'x' is FP8" in str(error(answer(datatype="FP8")))
    assert "bytes do not fit" in str(error(answer(shape=3)))
    assert "is INT16 of shape [-1]" in str(error(answer(shape=-1)))
    assert "0 outputs, but raw contents for 1" in str(error(lambda m, _: _messages.reader("ModelInfer")(b"\x32\x00")))
    assert ask(answer()).version == 7 and ask(answer()).route is None


def test_nobody_listens(ask: Callable[..., Any]) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = f"127.0.0.1:{s.getsockname()[1]}"
        with pytest.raises(sluice.SluiceError, match="no answer from 127.0.0.1") as error:
            ask(lambda m, _: echo(m), free)
    assert error.value.status is None
    assert error.value.__cause__ is not None and _grpc_calls.undone(error.value)


def test_keys_are_sent(ask: Callable[..., Any], server: Tuple[str, Fake]) -> None:
    ask(lambda m, _: echo(m), token="key")
    assert server[1].asked[0]["authorization"] == "Bearer key"
    ask(lambda m, _: echo(m))
    assert "authorization" not in server[1].asked[0]


def test_options() -> None:
    for bad in ("host", "ftp://h:1", "https://", "h:1/path", ":1", ""):
        with pytest.raises(ValueError):
            sluice.grpc.Client(bad)
    for options in ({"retries": -1}, {"sticky_header": "a", "sticky_parameter": "b"}, {"verify": False}, {"cert": "c.pem"}):
        with pytest.raises(ValueError):
            sluice.grpc.Client("h:1", **options)
    with pytest.raises(ValueError, match="unverified"):
        sluice.grpc.Client("https://h:1", verify=False)
    with pytest.raises(ValueError, match="not both"):
        sluice.grpc.Client("https://h:1", verify="ca.pem", channel=object())  # type: ignore[arg-type]


def test_the_descriptor_is_that_of_the_protocol(tmp_path: Path) -> None:
    made, known = tmp_path / "messages.binpb", Path(grpc_tools.__file__).with_name("_proto")
    arguments = [f"-I{ROOT / 'api'}", f"-I{known}", "--include_imports", f"--descriptor_set_out={made}", "inference.proto", "labels.proto"]
    assert grpc_tools.protoc.main(["protoc", *arguments]) == 0
    assert made.read_bytes() == Path(_messages.__file__).with_name("messages.binpb").read_bytes(), "run make proto"
