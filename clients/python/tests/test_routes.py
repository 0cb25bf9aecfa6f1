"""The control API, against a real gateway."""

from __future__ import annotations

from typing import Any, Dict

import pytest

import sluice

from .conftest import Connect, over_http

pytestmark = over_http


@pytest.fixture
def route(client: sluice.Client) -> str:
    """The name of a route of its own, 90 % of version 1 and 10 % of version 2."""
    client.set_route(
        {"name": "changed", "model": "iris", "variants": [{"version": 1, "weight": 9000}, {"version": 2, "weight": 1000, "role": "canary"}]},
        revision=next((r["revision"] for r in client.routes() if r["name"] == "changed"), 0),
    )
    return "changed"


def weights(route: Dict[str, Any]) -> Dict[int, int]:
    return {variant["version"]: variant["weight"] for variant in route["variants"]}


def test_weights_are_changed(client: sluice.Client, route: str) -> None:
    dry = client.set_weights(route, {1: "70%", 2: "30%"}, dry_run=True)
    assert dry["dry_run"] and dry["slots_moved"] == 2000
    assert weights(client.route(route)) == {1: 9000, 2: 1000}
    changed = client.set_weights(route, {1: 8750, 2: "12.5%"}, reason="no errors: grün")
    assert weights(changed) == {1: 8750, 2: 1250} and changed["slots_moved"] == 250
    assert weights(client.route(route)) == {1: 8750, 2: 1250}


def test_a_change_is_made_to_the_revision_that_was_read(client: sluice.Client, route: str) -> None:
    read = client.route(route)
    client.set_weights(route, {1: "70%", 2: "30%"})
    with pytest.raises(sluice.SluiceError) as error:
        client.set_route(read)
    assert error.value.status == 412
    with pytest.raises(sluice.SluiceError) as error:
        client.set_weights(route, {1: 5000, 2: 5000}, revision=read["revision"])
    assert error.value.status == 412
    assert weights(client.route(route)) == {1: 7000, 2: 3000}


def test_weights_that_are_wrong(client: sluice.Client, route: str) -> None:
    for bad in ("80", "half%", "0.001%", 0.5, True):
        with pytest.raises(ValueError):
            client.set_weights(route, {1: bad})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="no variant of version 9, only of"):
        client.set_weights(route, {9: 1})
    with pytest.raises(sluice.SluiceError) as error:
        client.set_weights(route, {1: 1})  # not all of the traffic
    assert error.value.status == 400


def test_an_unknown_route(client: sluice.Client) -> None:
    with pytest.raises(sluice.SluiceError) as error:
        client.route("absent/or not?")
    assert error.value.status == 404


def test_the_admin_port_must_be_known(connect: Connect) -> None:
    client = sluice.Client("localhost:1")
    with pytest.raises(ValueError, match="admin_url"):
        client.routes()
