"""Who is let in, and which server is believed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trustme

from clients import Client, NotOffered, Request, Tensor, connect
from expect import refused, same
from gateway import NARROW_KEY, NARROW_NAME, Issuer, Target, write_certificate

REQUEST = Request("echo_FP32", [Tensor("x", "FP32", np.ones(1, np.float32))])


def with_key(target: Target, key: str) -> Target:
    return replace(target, headers={"authorization": f"Bearer {key}"} if key else {})


@pytest.mark.parametrize("key", ["", "a-key-that-nobody-has"], ids=["none", "unknown"])
def test_no_key(client_name: str, targets: dict[str, Target], key: str):
    """Access: a call without a key, or with an unknown one, is refused"""
    client = connect(client_name, with_key(targets["TLS with a key"], key))
    try:
        with refused("UNAUTHENTICATED", "key" if key else "this request needs"):
            client.infer(REQUEST)
    finally:
        client.close()


def test_narrow_key(client_name: str, targets: dict[str, Target]):
    """Access: a key of which the model or the action is not allowed is refused"""
    check_narrow(client_name, with_key(targets["TLS with a key"], NARROW_KEY))


def test_certificate(client_name: str, targets: dict[str, Target], authority: trustme.CA, tmp_path: Path):
    """Access: a client certificate instead of a key, with the same rules"""
    certificate = write_certificate(authority.issue_cert(NARROW_NAME), tmp_path, "client")
    check_narrow(client_name, replace(targets["TLS with a key"], headers={}, certificate=certificate))


def test_required_certificate(client_name: str, mutual: Target):
    """Access: a server that requires certificates of clients"""
    request = Request("echo_FP64", [Tensor("x", "FP64", np.ones(1))])
    client = connect(client_name, mutual)
    try:
        same(client.infer(request).outputs["x_out"].tolist(), [1])
    finally:
        client.close()
    fails(connect(client_name, replace(mutual, certificate=None)), request)


@pytest.mark.parametrize("group", [False, True], ids=["caller", "group"])
def test_token(client_name: str, targets: dict[str, Target], issuer: Issuer, group: bool):
    """Access: a JSON Web Token instead of a key, of a caller or of a member of a group"""
    token = issuer.token(sub="ann", groups=["narrow"]) if group else issuer.token(sub="narrow-service")
    check_narrow(client_name, with_key(targets["TLS with a key"], token), "jwt:ann" if group else "narrow")


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"exp": 1_700_000_000}, "expired"),
        ({"nbf": 4_000_000_000}, "not valid yet"),
        ({"aud": "another"}, "audience"),
        ({"iss": "https://another.example"}, "issuer"),
    ],
    ids=["expired", "too early", "audience", "issuer"],
)
def test_refused_token(client_name: str, targets: dict[str, Target], issuer: Issuer, claims: dict, text: str):
    """Access: a token that is not valid is refused, with the reason"""
    client = connect(client_name, with_key(targets["TLS with a key"], issuer.token(sub="narrow-service", **claims)))
    try:
        with refused("UNAUTHENTICATED", text):
            client.infer(REQUEST)
    finally:
        client.close()


def check_narrow(client_name: str, target: Target, name: str = "narrow") -> None:
    client = connect(client_name, target)
    try:
        client.infer(Request("echo_FP64", [Tensor("x", "FP64", np.ones(1))]))
        for model in ("echo_FP32", "absent"):  # whether a model exists is not said
            with refused("PERMISSION_DENIED", f"caller '{name}' may not infer on model '{model}'"):
                client.infer(replace(REQUEST, model=model))
        with suppress(NotOffered), refused("PERMISSION_DENIED", name):
            client.statistics("echo_FP64")
        with suppress(NotOffered), refused("PERMISSION_DENIED", name):
            client.load("on_demand")
        with suppress(NotOffered):  # lists have only what the caller may see
            same(set(client.index()), {"echo_FP64"})
    finally:
        client.close()


def test_unknown_authority(client_name: str, targets: dict[str, Target], tmp_path: Path):
    """Access: a certificate of an unknown CA is refused by the client"""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    fails(connect(client_name, replace(targets["TLS"], ca=tmp_path / "ca.pem")), REQUEST)


def fails(client: Client, request: Request) -> None:
    """Check that a connection cannot be made."""
    try:
        client.infer(request)
    except NotOffered:
        raise
    except Exception:  # each client has its own
        return
    finally:
        client.close()
    pytest.fail("the connection was made")
