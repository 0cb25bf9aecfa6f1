"""A gateway with TLS that asks for certificates of clients. Its files are made with the openssl command."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Tuple

import httpx
import pytest

import sluice
import sluice.grpc

from .conftest import KINDS, Gateway, serve, write

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass(frozen=True)
class Secure:
    """A gateway with TLS, the file of its root certificate, and the files of a client."""

    at: Gateway
    ca: str
    own: Tuple[str, str]


def certificate(folder: Path, name: str, *more: str) -> Tuple[str, str]:
    """Make a certificate and its key, and return their files."""
    cert, key = str(folder / f"{name}.pem"), str(folder / f"{name}-key.pem")
    new = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2".split()
    subprocess.run([*new, "-subj", f"/CN={name}", "-keyout", key, "-out", cert, *more], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    write(folder / "models" / "echo", [("x", "FP32", ["N"])])
    ca, ca_key = certificate(folder, "ca")
    leaf = ("-CA", ca, "-CAkey", ca_key, "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1")
    server, own = certificate(folder, "server", *leaf), certificate(folder, "client", *leaf)
    tls = f"tls: {{cert: {server[0]!r}, key: {server[1]!r}, client_ca: {ca!r}, client_auth: require}}"
    with serve(folder, "", tls, verify=ca, cert=own) as at:
        yield Secure(at, ca, own)


def models(*args: Any, **options: Any) -> Any:
    """Return the models as both clients list them."""

    async def ask() -> Any:
        async with sluice.AsyncClient(*args, retries=0, **options) as client:
            return await client.models()

    with sluice.Client(*args, retries=0, **options) as client:
        listed = client.models()
    assert asyncio.run(ask()) == listed
    return listed


def test_certificate(secure: Secure) -> None:
    url, admin_url, ca, own = secure.at.url, secure.at.admin_url, secure.ca, secure.own
    assert [m["name"] for m in models(url, admin_url, verify=ca, cert=own)] == ["echo"]
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(*own)
    assert models(url, admin_url, verify=context)
    assert models(url, admin_url, verify=False, cert=own)
    with sluice.Client(url, verify=ca, cert=own) as client:
        assert client.infer("echo", {"x": sluice.Tensor([1.0, 2.0], "FP32")}).version == 1


def test_refused(secure: Secure) -> None:
    url, admin_url, ca, own = secure.at.url, secure.at.admin_url, secure.ca, secure.own
    with pytest.raises(sluice.SluiceError, match="no answer"):
        models(url, admin_url, verify=ca)
    with pytest.raises(sluice.SluiceError, match="CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        models(url, admin_url, cert=own)
    with pytest.raises(sluice.SluiceError, match="use https://"):
        sluice.Client(url.replace("https:", "http:")).model_metadata("echo")


@pytest.mark.parametrize("kind", ["grpc", "grpc-async"])
def test_grpc(secure: Secure, kind: str, tmp_path: Path) -> None:
    def ask(**options: Any) -> Any:
        with KINDS[kind](secure.at, retries=0, keepalive=60, **options) as client:
            x = {"x": sluice.Tensor([1.0, 2.0], "FP32")}
            (answer,) = client.stream([sluice.grpc.Request("echo", x)])
            return client.infer("echo", x).version, answer.result.version

    together = tmp_path / "own.pem"
    together.write_text(Path(secure.own[0]).read_text() + Path(secure.own[1]).read_text())
    assert ask(verify=secure.ca, cert=secure.own) == ask(verify=secure.ca, cert=str(together)) == (1, 1)
    with pytest.raises(sluice.SluiceError, match="no answer"):
        ask(verify=secure.ca)
    with pytest.raises(sluice.SluiceError, match="no answer"):
        ask(cert=secure.own)


def test_not_beside_http() -> None:
    with pytest.raises(ValueError, match="not both"):
        sluice.Client(verify=False, http=httpx.Client())
    with pytest.raises(ValueError, match="not both"):
        sluice.AsyncClient(cert="own.pem", http=httpx.AsyncClient())
