"""What a request can ask for besides its tensors."""

from __future__ import annotations

from typing import Callable

import numpy as np
import pytest

from clients import Client, Output, Refused, Request, Tensor
from expect import plain, refused, same

FOREVER = 10**12  # turns of the model busy


def x(*values: float) -> list[Tensor]:
    return [Tensor("x", "FP32", np.array(values, np.float32))]


def busy(turns: int, **options) -> Request:
    return Request("busy", [Tensor("turns", "INT64", np.array([turns]))], **options)


def flower(model: str = "iris", **options) -> Request:
    return Request(model, [Tensor("input", "FP32", np.array([[6.4, 3.2, 4.5, 1.5]], np.float32))], **options)


def test_inputs(client: Client):
    """Requests: several inputs of different datatypes, in any order"""
    age = Tensor("age", "FP32", np.array([[31], [47.5]], np.float32))
    visits = Tensor("visits", "INT64", np.array([[3], [-1]]))
    name = Tensor("name", "BYTES", np.array([[b"ann"], [b"bob"]], np.object_))
    for inputs in ([age, visits, name], [name, age, visits]):
        outputs = client.infer(Request("person", inputs)).outputs
        for tensor in inputs:
            got = outputs[f"{tensor.name}_out"]
            same((got.shape, plain(got)), (tensor.values.shape, tensor.values.tolist()))


def test_outputs(client: Client):
    """Requests: chosen outputs, in the order asked"""
    same(list(client.infer(flower(outputs=[Output("probabilities"), Output("label")])).outputs), ["probabilities", "label"])
    same(list(client.infer(flower(outputs=[Output("label")])).outputs), ["label"])


def test_mixed(client: Client):
    """Requests: some outputs binary, others JSON"""
    plain = client.infer(flower(version="1")).outputs
    mixed = client.infer(flower(version="1", outputs=[Output("label", json=True), Output("probabilities", json=False)])).outputs
    for name, values in plain.items():
        same((mixed[name].dtype, mixed[name].tolist()), (values.dtype, values.tolist()))


def test_classification(client: Client):
    """Requests: classification with labels"""
    tensor = Tensor("x", "FP32", np.array([[0.1, 0.5, np.nan, 0.4, -1], [5, 4, 3, 2, 1]], np.float32))
    got = client.infer(Request("classes", [tensor], outputs=[Output("x_out", classes=2)])).outputs["x_out"]
    same(plain(got), [[b"0.500000:1:bee", b"0.400000:3:dog"], [b"5.000000:0:ant", b"4.000000:1:bee"]])


def test_id(client: Client):
    """Requests: an id"""
    same(client.infer(Request("echo_FP32", x(1), id="order-7")).id, "order-7")


def test_version(client: Client):
    """Requests: one version of a model"""
    for version in ("1", "2", "3"):
        answer = client.infer(flower(version=version))
        same((answer.model, answer.version), ("iris", version))
    same(client.infer(flower()).version, "3")
    with refused("NOT_FOUND", "version 9 is not found"):
        client.infer(flower(version="9"))


def test_sticky(client: Client):
    """Requests: a route, with a sticky key"""
    versions = {key: {client.infer(flower("flowers", headers={"x-user-id": key})).version for _ in range(3)} for key in "abcdefghijkl"}
    assert all(len(seen) == 1 for seen in versions.values()), versions
    same(set.union(*versions.values()), {"1", "2"})


def test_served(client: Client):
    """Requests: which version answered, and why"""
    answer = client.infer(flower("flowers", headers={"x-user-id": "a"}))
    if answer.served is None:
        pytest.skip("the client does not show what served")
    same((answer.served["version"], answer.served["reason"]), (answer.version, "sticky"))
    assert answer.served["route"].startswith("flowers@")


def test_parameters(client: Client):
    """Requests: parameters of the caller, and a priority"""
    answer = client.infer(Request("echo_FP32", x(1), parameters={"text": "a", "number": 7, "flag": True}, priority=1))
    same(answer.outputs["x_out"].tolist(), [1])


def test_timeout(client: Client):
    """Requests: a timeout for the gateway"""
    with refused("DEADLINE_EXCEEDED", "deadline"):
        client.infer(busy(FOREVER, timeout=200_000))
    client.infer(busy(1))  # the run was terminated


def test_deadline(client: Client):
    """Requests: a deadline of the call"""
    try:
        client.infer(busy(FOREVER, deadline=1))
        pytest.fail("an answer came")
    except Refused as error:
        # grpc-go resets the call at its deadline, and a client that is busy can see that before its own deadline.
        assert error.code in ("DEADLINE_EXCEEDED", "") or (error.code == "CANCELLED" and "RST_STREAM" in error.text), error
    client.infer(busy(1))


def test_cancel(client: Client):
    """Requests: cancellation, which ends the run too"""
    client.infer_and_cancel(busy(FOREVER))
    client.infer(busy(1))


def test_in_flight(client: Client):
    """Requests: many in flight, one of them refused"""
    requests = [Request("echo_FP32", x(i, -i)) for i in range(64)]
    requests[30] = Request("absent", x(0))
    for i, answer in enumerate(client.infer_many(requests)):
        if i == 30:
            assert isinstance(answer, Refused) and "Request for unknown model: 'absent'" in answer.text, answer
        else:
            same(answer.outputs["x_out"].tolist(), [i, -i])


def test_stream(client: Client):
    """Requests: many in flight on one stream, of several models, some refused"""
    requests = []
    for i in range(200):
        requests.append(Request("echo_FP32", x(i)) if i % 2 else Request("echo_INT64", [Tensor("x", "INT64", np.array([i]))]))
    requests[100] = Request("absent", x(0))
    requests[101] = Request("echo_FP32", [Tensor("y", "FP32", np.zeros(1, np.float32))])
    answers = client.stream(requests)
    for i, answer in enumerate(answers):
        if i in (100, 101):
            assert isinstance(answer, Refused), answer
        else:
            same(answer.outputs["x_out"].tolist(), [i])
    texts = " ".join(answers[i].text for i in (100, 101))
    assert "Request for unknown model: 'absent'" in texts and "unexpected inference input 'y'" in texts, texts


def test_chunks(client: Client):
    """Requests: a body in chunks, without a length"""
    values = [float(i) for i in range(5000)]
    for json in (False, True):
        request = Request("echo_FP32", x(*values), outputs=[Output("x_out")], json=json)
        same(client.infer_in_chunks(request).outputs["x_out"].tolist(), values)


def test_raw(client: Client):
    """Requests: a raw body"""
    row = np.arange(1024, dtype=np.float32)
    answer = client.infer_raw("wide", np.concatenate([row, -row]).tobytes())
    same(answer.outputs["x_out"].tolist(), [row.tolist(), (-row).tolist()])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_compressed(client: Client, coding: str):
    """Requests: compressed with {coding}"""
    values = [float(i % 7) for i in range(5000)]
    same(client.infer(Request("echo_FP32", x(*values), coding=coding)).outputs["x_out"].tolist(), values)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_compressed_answers(client: Client, coding: str):
    """Requests: answers compressed with {coding}"""
    values = [float(i % 7) for i in range(5000)]
    same(client.infer(Request("echo_FP32", x(*values), accept=coding)).outputs["x_out"].tolist(), values)


def test_errors(client: Client):
    """Requests: errors with their codes and texts"""
    good = Request("echo_FP32", x(1))
    client.infer(good)
    with refused("NOT_FOUND", "Request for unknown model: 'absent'"):
        client.infer(Request("absent", x(1)))
    with refused("INVALID_ARGUMENT", "unexpected shape for input 'input'"):
        client.infer(Request("iris", [Tensor("input", "FP32", np.zeros((1, 5), np.float32))]))
    with refused("INVALID_ARGUMENT", "data-type"):
        client.infer(Request("echo_FP32", [Tensor("x", "FP64", np.zeros(1))]))
    with refused("INVALID_ARGUMENT", "unexpected inference output 'absent'"):
        client.infer(Request("echo_FP32", x(1), outputs=[Output("absent")]))
    with refused("INVALID_ARGUMENT", "unexpected inference input 'y'"):
        client.infer(Request("echo_FP32", [*x(1), Tensor("y", "FP32", np.zeros(1, np.float32))]))


def test_sequences(client: Client, on_purpose: Callable[[str], None]):
    """Requests: sequences"""
    with refused("UNIMPLEMENTED", "sequences") as refusal:
        client.infer(Request("echo_FP32", x(1), sequence=7))
    on_purpose(refusal.text.partition(": ")[2])  # without the parameter, which is any of three
