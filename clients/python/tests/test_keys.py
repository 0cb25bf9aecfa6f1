"""A gateway with callers: every client sends the key of its caller."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest

import sluice
import sluice.grpc

from .conftest import KINDS, Gateway, serve, write

KEY, OTHER = "k3y-of-the-caller-billing", "k3y-of-the-caller-other"
X = {"x": np.array([1.5], np.float32)}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("keys")
    write(folder / "models" / "echo", [("x", "FP32", ["N"])])
    config = """
auth: {required: true}
callers:
  billing: {keys: ["${BILLING_KEY}"], allow: [{models: ["*"], actions: [infer, metadata, statistics]}]}
  other:
    keys: ["${OTHER_KEY}"]
    allow: [{models: ["*"], actions: [infer]}]
    limits: [{models: ["*"], requests_per_second: 0.001, burst: 1}]
"""
    with serve(folder, config, env={**os.environ, "BILLING_KEY": KEY, "OTHER_KEY": OTHER}) as gateway:
        yield gateway


@pytest.mark.parametrize("kind", KINDS)
def test_keys(guarded: Gateway, kind: str, tmp_path: Path) -> None:
    def connect(**options: Any) -> Any:
        return KINDS[kind](guarded, retries=0, **options)

    def refused(status: int, call: Any) -> sluice.SluiceError:
        with pytest.raises(sluice.SluiceError) as error:
            call()
        assert error.value.status == status
        return error.value

    with connect(token=KEY) as client:
        assert client.infer("echo", X).version == 1
        assert client.predict("echo", X) is not None
        assert client.model_metadata("echo")["name"] == "echo"
        assert client.model_ready("echo") and client.statistics("echo")
    with connect() as client:
        assert client.live() and client.ready()  # which need no key
        refused(401, lambda: client.infer("echo", X))
    with connect(token="not-a-key-of-any-caller") as client:
        refused(401, lambda: client.infer("echo", X))
    with connect(token=OTHER) as client:
        refused(403, lambda: client.model_metadata("echo"))


@pytest.mark.parametrize("kind", ["grpc", "grpc-async"])
def test_keys_of_streams(guarded: Gateway, kind: str) -> None:
    with KINDS[kind](guarded, token=KEY) as client:
        answers = list(client.stream([sluice.grpc.Request("echo", X)] * 3))
        assert [answer.error for answer in answers] == [None] * 3
    for _ in range(100):  # the refusal comes before, while or after the request is sent
        with KINDS[kind](guarded) as client:
            with pytest.raises(sluice.SluiceError) as error:
                for answer in client.stream([sluice.grpc.Request("echo", X)]):
                    raise answer.error or AssertionError("it was answered")
            assert error.value.status == 401


def test_limits_say_when_to_retry(guarded: Gateway) -> None:
    for kind in ("sync", "grpc"):
        with KINDS[kind](guarded, token=OTHER, retries=0) as client:
            with pytest.raises(sluice.SluiceError) as error:
                for _ in range(3):
                    client.infer("echo", X)
            assert error.value.status == 429 and (error.value.retry_after or 0) > 0
