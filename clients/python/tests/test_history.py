"""What a gateway has done lately, and what a caller may do to it."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

import pytest

import sluice

from .conftest import Connect, over_http

pytestmark = over_http


def busiest(values: List[Optional[float]]) -> float:
    return max((v for v in values if v is not None), default=0)


def test_the_history_has_what_a_model_has_served(client: sluice.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        client.infer("iris", {"input": sluice.Tensor([[5.1, 3.5, 1.4, 0.2]], "FP32")})
        history: Dict[str, Any] = client.history(models=["iris", "no_such_model"], routes=["iris"], span="5m", points=60)
        assert [m["name"] for m in history["models"]] == ["iris"]
        iris = history["models"][0]
        if busiest(iris["requests"]) > 0 and busiest(iris["p99"]) > 0:
            break
        assert time.monotonic() < deadline, "the history has no requests"
        time.sleep(0.2)
    assert history["step"] == "5s" and history["max_span"] == "1h0m0s"
    assert len(iris["requests"]) == len(iris["errors"]) == len(iris["queue"]) == 60
    variants = history["routes"][0]["variants"]
    assert {v["version"] for v in variants} >= {1, 2}
    assert busiest(variants[0]["requests"]) > 0


def test_a_history_of_nothing_or_of_too_much(client: sluice.Client) -> None:
    for wrong in ({}, {"models": ["iris"], "span": "2h"}, {"models": ["iris"], "points": 0}):
        with pytest.raises(sluice.SluiceError) as error:
            client.history(**wrong)
        assert error.value.status == 400


def test_the_session_says_who_asks(client: sluice.Client, connect: Connect) -> None:
    session = client.session()
    assert session["anonymous"] and session["caller"] == "anonymous"
    assert any("infer" in rule["actions"] for rule in session["may"])
