"""infer and what surrounds it, against a real gateway."""

from __future__ import annotations

import math
from typing import Any, Dict

import numpy as np
import pytest

import sluice

from .conftest import TOKEN, Connect, over_http

FLOWER = {"input": np.array([[6.4, 3.2, 4.5, 1.5]], np.float32)}

ELEMENTS: Dict[str, Any] = {
    "BOOL": np.array([True, False]),
    "UINT8": np.array([0, 255], np.uint8),
    "UINT16": np.array([0, 65535], np.uint16),
    "UINT32": np.array([0, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 2**64 - 1], np.uint64),
    "INT8": np.array([-128, 127], np.int8),
    "INT16": np.array([-(2**15), 2**15 - 1], np.int16),
    "INT32": np.array([-(2**31), 2**31 - 1], np.int32),
    "INT64": np.array([-(2**63), 2**63 - 1], np.int64),
    "FP16": np.array([0.1, -65504, math.nan], np.float16),
    "FP32": np.array([0.1, -math.inf, math.nan], np.float32),
    "FP64": np.array([0.1, -1e-300, math.nan], np.float64),
    "BYTES": np.array([b"", "漢字".encode(), b"a\x00b"], object),
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("datatype", ELEMENTS)
def test_every_datatype_comes_back(client: sluice.Client, datatype: str, as_json: bool) -> None:
    for array in (ELEMENTS[datatype], ELEMENTS[datatype][:0], ELEMENTS[datatype][::-1]):
        got = client.infer(f"echo_{datatype}", {"x": array}, json=as_json).outputs["x_out"]
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("as_json", [False, True])
def test_tensors_name_their_datatype(client: sluice.Client, as_json: bool) -> None:
    def echo(data: Any, datatype: str) -> Any:
        return client.infer(f"echo_{datatype}", {"x": sluice.Tensor(data, datatype)}, json=as_json).outputs["x_out"].tolist()

    assert echo([1, 0.5], "FP32") == [1, 0.5]
    assert echo([1.0, 2.0], "INT8") == [1, 2]
    assert echo([2**64 - 1], "UINT64") == [2**64 - 1]
    assert echo(["a", b"b"], "BYTES") == [b"a", b"b"]
    assert echo([1.0, -0.5, 3.140625, 1 + 2**-8, 1 + 3 * 2**-8], "BF16") == [1, -0.5, 3.140625, 1, 1 + 2**-6]
    assert all(math.isnan(x) for x in echo([None, math.nan], "BF16"))
    many = sluice.Tensor([1, 2, 3, 4], "FP32", [1, 4])
    assert client.infer("iris", {"input": many}, json=as_json).outputs["probabilities"].shape == (1, 3)


@over_http
def test_bytes_that_are_not_utf8_are_sent_in_binary(client: sluice.Client) -> None:
    words = {"x": np.array([b"\xff"], object)}
    assert client.infer("echo_BYTES", words).outputs["x_out"].tolist() == [b"\xff"]
    with pytest.raises(ValueError, match="not UTF-8"):
        client.infer("echo_BYTES", words, json=True)


def test_outputs_can_be_changed_in_place(client: sluice.Client) -> None:
    outputs = client.infer("iris", FLOWER).outputs
    before = outputs["label"].copy()
    outputs["probabilities"][:] = 0
    np.testing.assert_array_equal(outputs["label"], before)


def test_requests_are_routed(connect: Connect) -> None:
    def served(client: sluice.Client, model: str, **options: Any) -> Any:
        r = client.infer(model, FLOWER, request_id="r-1", priority=1, timeout=60, **options)
        assert (r.route, r.request_id) == (f"{model}@1", "r-1")
        return r.version, r.reason

    by_header, by_parameter = connect(sticky_header="X-User-Id"), connect(sticky_parameter="user")
    # With the seed "iris" u1 belongs to the canary, u3 does not.
    assert served(by_header, "by_header", sticky_key="u1") == (2, "sticky")
    assert served(by_header, "by_header", sticky_key="u3") == (1, "sticky")
    assert served(by_parameter, "by_parameter", sticky_key="u1") == (2, "sticky")
    assert served(by_parameter, "by_parameter", sticky_key="u1", json=True) == (2, "sticky")
    assert served(by_header, "by_header", sticky_key="u1", version=1) == (1, "pinned")
    assert served(by_header, "by_header", sticky_key="u1", override=1, override_token=TOKEN) == (1, "override")


def test_outputs_that_are_asked_for(client: sluice.Client) -> None:
    for as_json in (False, True):
        r = client.infer("iris", FLOWER, outputs=["probabilities"], json=as_json)
        assert list(r.outputs) == ["probabilities"]
        assert r.outputs["probabilities"].dtype == np.float32


def test_health(client: sluice.Client) -> None:
    assert client.live() and client.ready() and client.model_ready("iris") and client.model_ready("iris", 2)
    assert not client.model_ready("absent")


def test_what_is_served(client: sluice.Client) -> None:
    assert client.model_metadata("iris", 1)["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 4]}]
    assert {"iris", "digits"} <= {entry["name"] for entry in client.index()}
    assert {"name": "iris", "version": "2", "state": "READY"} in client.index()


@over_http
def test_what_is_loaded(client: sluice.Client) -> None:
    assert {"iris", "digits"} <= {entry["name"] for entry in client.models()}
    assert {entry["version"] for entry in client.model("iris") if entry["state"] == "READY"} >= {1, 2}


def test_errors(client: sluice.Client) -> None:
    def fails(status: int, message: str, model: str, **options: Any) -> None:
        with pytest.raises(sluice.SluiceError) as error:
            client.infer(model, FLOWER, request_id="r-2", **options)
        e = error.value
        assert (e.status, e.request_id, e.retry_after) == (status, "r-2", None)
        assert message in e.message and str(e) == f"{e.message} (status {e.code or status}, request r-2)"

    fails(404, "unknown model", "absent")
    fails(404, "version 9 is not found", "iris", version=9)
    fails(400, "absent", "iris", outputs=["absent"])
    fails(401, "not the key of a caller", "by_header", override=1, override_token="wrong")


def test_mistakes_are_found_before_anything_is_sent(client: sluice.Client) -> None:
    def refuses(kind: type, message: str, value: Any, **options: Any) -> None:
        with pytest.raises(kind, match=message):
            client.infer("absent", {"x": value}, **options)

    refuses(TypeError, "a datatype with", [1.0])
    refuses(TypeError, "complex128", np.array([1j]))
    refuses(TypeError, "not a string", np.array([None], object))
    refuses(ValueError, "unknown datatype", sluice.Tensor([1], "FP8"))
    refuses(ValueError, "do not fit shape", sluice.Tensor([1, 2], "FP32", [3]))
    refuses(ValueError, "do not fit the datatype INT8", sluice.Tensor([128], "INT8"))
    refuses(ValueError, "do not fit the datatype INT64", sluice.Tensor([0.5], "INT64"))
    refuses(ValueError, "do not fit the datatype FP32", sluice.Tensor([1e39], "FP32"))
    refuses(ValueError, "not numbers", sluice.Tensor(["1"], "FP32"))
    refuses(ValueError, "not numbers", sluice.Tensor([None], "INT64"))
    refuses(ValueError, "timeout", np.array([1.0]), timeout=0)
    refuses(ValueError, "(?i)x-request-id: expected", np.array([1.0]), request_id="a\nb")


def test_a_sticky_key_needs_a_place(connect: Connect) -> None:
    with pytest.raises(ValueError, match="sticky_header"):
        connect().infer("iris", FLOWER, sticky_key="u1")
    with pytest.raises(ValueError, match="not both"):
        connect(sticky_header="a", sticky_parameter="b")
