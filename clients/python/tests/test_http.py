"""Retries, errors and limits, with answers that are made up."""

from __future__ import annotations

import asyncio
import email.utils
import inspect
import random
import struct
import time
from typing import Any, Callable, Dict, List, Tuple, Union

import httpx
import numpy as np
import pytest

import sluice
import sluice.grpc
from sluice import _call, _inference
from sluice._tensor import decode

X = {"x": np.array([1], np.int8)}
Step = Union[int, Tuple[int, Dict[str, str]], Exception]


class Steps:
    """Answers requests with each step in turn, the last one over and over, and notes the waits between them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
        self.steps, self.asked, self.waits, self.now = steps, 0, list[float](), 1000.0
        monkeypatch.setattr(_call, "time", self)
        monkeypatch.setattr(_inference, "time", self)
        monkeypatch.setattr(asyncio, "sleep", self.asleep)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def answer(self, request: httpx.Request) -> httpx.Response:
        step = self.steps[min(self.asked, len(self.steps) - 1)]
        self.asked += 1
        if isinstance(step, Exception):
            raise step
        status, headers = (step, {}) if isinstance(step, int) else step
        return httpx.Response(status, headers=headers, json={"outputs": []} if status == 200 else {"error": "no"})


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a method of a client that is answered by a function."""

    def sync(answer: Callable[[httpx.Request], httpx.Response], method: str, *args: Any, options: Any = {}, **more: Any) -> Any:
        with httpx.Client(transport=httpx.MockTransport(answer)) as http:
            return getattr(sluice.Client("h", "a", http=http, **options), method)(*args, **more)

    def with_asyncio(answer: Callable[[httpx.Request], httpx.Response], method: str, *args: Any, options: Any = {}, **more: Any) -> Any:
        async def run() -> Any:
            async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
                return await getattr(sluice.AsyncClient("h", "a", http=http, **options), method)(*args, **more)

        return asyncio.run(run())

    return sync if request.param == "sync" else with_asyncio


def test_retries(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def attempts(*steps: Step, **options: Any) -> int:
        s = Steps(monkeypatch, *steps)
        try:
            call(s.answer, "infer", "m", X, options=options)
        except sluice.SluiceError:
            return -s.asked
        return s.asked

    refused = httpx.ConnectError("refused")
    assert attempts(200) == 1
    assert attempts(429, 200) == 2
    assert attempts(503, refused, 200) == 3
    assert attempts(503) == -3
    assert attempts(refused) == -3
    assert attempts(httpx.ConnectTimeout("")) == -3
    assert attempts(503, retries=0) == -1
    assert attempts(503, retries=5) == -6
    for status in (301, 400, 404, 500, 502, 504):
        assert attempts(status) == -1
    # Something may have been sent.
    for error in (httpx.ReadError(""), httpx.WriteError(""), httpx.ReadTimeout(""), httpx.RemoteProtocolError("")):
        assert attempts(error) == -1


def test_waits(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    s = Steps(monkeypatch, 503, 503, (429, {"Retry-After": "2"}), 200)
    call(s.answer, "infer", "m", X, options={"retries": 3})
    for wait, (least, most) in zip(s.waits, [(0.05, 0.1), (0.1, 0.2), (2.2, 2.4)]):
        assert least <= wait <= most
    assert len(s.waits) == 3
    s = Steps(monkeypatch, (503, {"Retry-After": email.utils.formatdate(time.time() + 5)}), 200)
    call(s.answer, "infer", "m", X)
    assert 3 <= s.waits[0] <= 6


def test_waits_that_are_too_long(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def final(after: str, options: Dict[str, Any], **more: Any) -> None:
        s = Steps(monkeypatch, (503, {"Retry-After": after}), 200)
        with pytest.raises(sluice.SluiceError) as error:
            call(s.answer, "infer", "m", X, options=options, **more)
        assert (s.asked, error.value.retry_after) == (1, float(after))

    final("11", {})
    final("5", {"timeout": 5})
    final("5", {}, timeout=4)
    final("9" * 400, {})


def test_health_and_control_are_asked_once(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    s = Steps(monkeypatch, 503)
    assert call(s.answer, "ready") is False
    assert call(s.answer, "model_ready", "m") is False
    for method, *args in (("live",), ("routes",), ("set_route", {"name": "r", "revision": 1})):
        with pytest.raises(sluice.SluiceError):
            call(s.answer, method, *args)
    assert s.asked == 5


def test_errors_say_what_is_known(call: Callable[..., Any]) -> None:
    def error(answer: Callable[[httpx.Request], httpx.Response]) -> sluice.SluiceError:
        with pytest.raises(sluice.SluiceError) as caught:
            call(answer, "infer", "m", X, options={"retries": 0})
        return caught.value

    def breaks(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    e = error(lambda _: httpx.Response(429, headers={"X-Request-Id": "r", "Retry-After": "7"}, json={"error": "full"}))
    assert (e.status, e.message, e.request_id, e.retry_after) == (429, "full", "r", 7)
    e = error(lambda _: httpx.Response(502, text="<html>" + "x" * 1000))
    assert (e.message, e.request_id, e.retry_after) == ("<html>" + "x" * 194, None, None)
    assert error(lambda _: httpx.Response(502, text="[")).message == "["
    assert error(lambda _: httpx.Response(502)).message == "no message"
    e = error(breaks)
    assert (e.status, str(e)) == (None, "no answer from h: reset") and isinstance(e.__cause__, httpx.ReadError)


def test_answers_are_bounded(call: Callable[..., Any]) -> None:
    text = '{"outputs":[]}'
    call(lambda _: httpx.Response(200, text=text), "infer", "m", X, options={"max_answer_bytes": len(text)})
    with pytest.raises(sluice.SluiceError, match="longer than 13 bytes"):
        call(lambda _: httpx.Response(200, text=text), "infer", "m", X, options={"max_answer_bytes": len(text) - 1})


def test_what_is_sent(call: Callable[..., Any]) -> None:
    sent: List[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"outputs": [], "name": "r", "revision": 1, "variants": []})

    call(answer, "infer", "a/b", {"x": np.array([1, -1], np.int16)}, version=3, outputs=["y"], timeout=0.25)
    doc = (b'{"inputs":[{"name":"x","shape":[2],"datatype":"INT16","parameters":{"binary_data_size":4}}],'
           b'"outputs":[{"name":"y","parameters":{"binary_data":true}}],"parameters":{"timeout":250000}}')  # fmt: skip
    assert sent[0].url == "http://h/v2/models/a%2Fb/versions/3/infer"
    assert sent[0].content == doc + struct.pack("<hh", 1, -1)
    assert sent[0].headers["Inference-Header-Content-Length"] == str(len(doc))
    assert sent[0].headers["Accept-Encoding"] == "identity" and "Authorization" not in sent[0].headers
    assert sent[0].extensions["timeout"]["read"] == pytest.approx(1.25, abs=0.1)
    call(answer, "infer", "m", {"x": np.array(1.5, ">f4")}, json=True)
    assert sent[1].content == b'{"inputs":[{"name":"x","shape":[],"datatype":"FP32","data":[1.5]}]}'
    call(answer, "infer", "m", X, options={"token": "t"}, override_token="o")
    assert sent.pop().headers["Authorization"] == "Bearer o"
    call(answer, "model_metadata", "m", options={"token": "t"})
    call(answer, "live", options={"token": "t"})
    assert [sent.pop().headers.get("Authorization") for _ in range(2)] == [None, "Bearer t"]
    call(answer, "set_weights", "r", {}, reason="grün", options={"token": "t", "actor": "carol"})
    assert [r.method for r in sent[2:]] == ["GET", "PUT"]
    assert (sent[3].headers["If-Match"], sent[3].headers["Authorization"], sent[3].headers["Sluice-Actor"]) == ('"1"', "Bearer t", "carol")
    assert (b"Sluice-Change-Reason", "grün".encode()) in sent[3].headers.raw


def unreadable() -> List[Tuple[bytes, Dict[str, str]]]:
    def element(datatype: str, data: str) -> Tuple[bytes, Dict[str, str]]:
        return f'{{"outputs":[{{"name":"y","datatype":"{datatype}","shape":[1],"data":{data}}}]}}'.encode(), {}

    def binary(datatype: str, shape: str, size: str, blob: bytes) -> Tuple[bytes, Dict[str, str]]:
        doc = f'{{"outputs":[{{"name":"y","datatype":"{datatype}","shape":{shape},"parameters":{{"binary_data_size":{size}}}}}]}}'.encode()
        return doc + blob, {"Inference-Header-Content-Length": str(len(doc))}

    length = [(b"{}", {"Inference-Header-Content-Length": bad}) for bad in ("-1", "x", "3", "+1", "9" * 5000)]
    return [
        *length,
        (b"<html>", {}), (b"[]", {}), (b"{}", {}), (b'{"outputs":[1]}', {}), (b'{"outputs":[{}]}', {}), (b"[" * 100_000, {}),
        binary("FP32", "[1]", "8", b"1234"), binary("FP32", "[1]", "-4", b""), binary("FP32", "[1]", '"4"', b"1234"),
        binary("FP32", "[1]", "4", b"12345"), binary("FP32", "[2]", "4", b"1234"), binary("FP32", "[-1]", "4", b"1234"),
        binary("FP32", "[4,1152921504606846978]", "4", b"1234"), binary("FP32", "[0,99999999999999999999]", "0", b""),
        binary("BYTES", "[1]", "6", b"\x03\x00\x00\x00ab"), binary("BYTES", "[1]", "3", b"\x00\x00\x00"),
        binary("FP8", "[1]", "1", b"1"), binary("FP32", '"1"', "4", b"1234"), binary("FP32", "1", "4", b"1234"),
        element("INT8", "[128]"), element("UINT8", "[-1]"), element("INT64", "[1.0]"), element("INT64", '["1"]'),
        element("INT64", "[true]"), element("BOOL", "[1]"), element("BYTES", "[1]"), element("FP32", '["x"]'),
        element("FP32", "[1,2]"), element("FP32", "1"), element("FP32", "null"), element("FP32", "[[1],[2,3]]"),
    ]  # fmt: skip


@pytest.mark.parametrize("body,headers", unreadable())
def test_answers_that_cannot_be_read(body: bytes, headers: Dict[str, str]) -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=body))) as http:
        with pytest.raises(sluice.SluiceError, match="is not valid") as error:
            sluice.Client("h", http=http).infer("m", X)
    assert error.value.status == 200


def test_answers_that_were_damaged_are_read_or_refused() -> None:
    chance = random.Random(1)
    seeds = [(body, dict(headers)) for body, headers in unreadable() if len(body) < 1000]
    seeds.append((b'{"outputs":[{"name":"y","datatype":"FP64","shape":[1,2],"data":[[NaN,1]]}]}', {}))
    for _ in range(3000):
        body, headers = chance.choice(seeds)
        damaged = bytearray(body)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'[]{}",:0189-eN\x00\xff')
        try:
            decode(damaged, headers)
        except ValueError:
            pass  # any other error fails the test


def test_answers_of_other_servers(call: Callable[..., Any]) -> None:
    body = '{"model_version":"7","outputs":[{"name":"y","datatype":"FP64","shape":[2,2],"data":[[1,NaN],[null,-Infinity]]}]}'
    result = call(lambda _: httpx.Response(200, text=body), "infer", "m", X)
    np.testing.assert_array_equal(result.outputs["y"], [[1, np.nan], [np.nan, -np.inf]])
    assert (result.version, result.route, result.reason, result.request_id) == (7, None, None, None)


def test_addresses() -> None:
    for bad in ("ftp://x", "http://", ""):
        with pytest.raises(ValueError):
            sluice.Client(bad)
    with pytest.raises(ValueError):
        sluice.Client("h", retries=-1)


def test_both_clients_offer_the_same() -> None:
    def offered(kind: type) -> Dict[str, Tuple[str, Any]]:
        functions = inspect.getmembers(kind, inspect.isfunction)
        return {name: (str(inspect.signature(f)), f.__doc__) for name, f in functions if not name.startswith("_") and "close" not in name}

    assert offered(sluice.Client) == offered(sluice.AsyncClient)
    assert len(offered(sluice.Client)) == 20
    over_grpc, with_asyncio = offered(sluice.grpc.Client), offered(sluice.grpc.AsyncClient)
    assert len(over_grpc) == 13
    del over_grpc["stream"], with_asyncio["stream"]
    assert over_grpc == with_asyncio
