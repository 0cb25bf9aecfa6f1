"""A gateway that serves the demo models, and models of one input or more that are answered as they came."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple, Union, cast

import pytest

import sluice
import sluice.grpc

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "let-me-choose-the-version"

# The numbers that ONNX gives the datatypes.
ONNX = {"FP32": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7, "BYTES": 8, "BOOL": 9,
        "FP16": 10, "FP64": 11, "UINT32": 12, "UINT64": 13, "BF16": 16}  # fmt: skip


@dataclass(frozen=True)
class Gateway:
    url: str
    admin_url: str
    grpc_url: str


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    models = folder / "models"
    for name in ("iris", "digits"):
        copy(models / name, ROOT / "models" / name)
    for datatype in ONNX:
        write(models / f"echo_{datatype}", [("x", datatype, ["N"])])
    write(models / "person", [("age", "FP32", ["N", 1]), ("visits", "INT64", ["N"]), ("name", "BYTES", ["N"])])
    write(models / "word", [("w", "BYTES", ["N", 2])])
    config = f"""
defaults: {{instances: 1}}
routes:
  iris: {{variants: [{{version: 1, weight: 100%}}, {{version: 2, weight: 0%, role: canary}}]}}
  by_header:
    model: iris
    seed: iris
    variants: [{{version: 1, weight: 50%}}, {{version: 2, weight: 50%, role: canary}}]
    sticky: {{header: X-User-Id}}
    override: {{token: {TOKEN}}}
  by_parameter:
    model: iris
    seed: iris
    variants: [{{version: 1, weight: 50%}}, {{version: 2, weight: 50%, role: canary}}]
    sticky: {{parameter: user}}
"""
    with serve(folder, config) as at:
        yield at


@contextlib.contextmanager
def serve(folder: Path, config: str, tls: str = "", env: Mapping[str, str] = os.environ, **options: Any) -> Iterator[Gateway]:
    """Serve the models of a folder. config has the settings but for addresses, options are those of a client that asks."""
    program, log, address = os.environ.get("SLUICE_GATEWAY", str(ROOT / "bin" / "gateway")), folder / "log", f'address: "127.0.0.1:0", {tls}'
    (folder / "sluice.yaml").write_text(f"""
repository: {{path: {str(folder / "models")!r}}}
server: {{http: {{{address}}}, grpc: {{{address}}}}}
admin: {{{address}}}
{config}""")
    with log.open("w") as stderr:
        command = [program, "serve", "-c", str(folder / "sluice.yaml")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, env=env)
    try:
        yield started(process, log, "https://" if tls else "", options)
    finally:
        process.terminate()
        process.wait(timeout=60)


def started(process: subprocess.Popen[bytes], log: Path, scheme: str, options: Mapping[str, Any]) -> Gateway:
    """Wait until a gateway is ready, and return where its log says that it listens."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        match = re.search(r'"msg":"listening","http":"([^"]+)","admin":"([^"]+)","grpc":"([^"]+)"', log.read_text())
        if match:
            at = Gateway(*(scheme + address for address in match.groups()))
            with sluice.Client(at.url, **options) as client:
                if client.ready():
                    return at
        time.sleep(0.05)
    raise RuntimeError(f"the gateway has not become ready: {log.read_text()}")


def copy(target: Path, source: Path) -> None:
    """Copy a model's folder: links out of the repository are not followed."""
    for file in source.rglob("*"):
        if file.is_file():
            to = target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(file.read_bytes())


def write(folder: Path, inputs: List[Tuple[str, str, List[Union[str, int]]]]) -> None:
    """Write a model that answers each input X as the output X_out, in ONNX's form of protobuf."""
    graph = field(2, b"echo")
    for name, datatype, dims in inputs:
        graph += field(1, field(1, name.encode()) + field(2, f"{name}_out".encode()) + field(4, b"Identity"))
        shape = b"".join(field(1, field(1, dim) if isinstance(dim, int) else field(2, dim.encode())) for dim in dims)
        described = field(2, field(1, field(1, ONNX[datatype]) + field(2, shape)))
        graph += field(11, field(1, name.encode()) + described) + field(12, field(1, f"{name}_out".encode()) + described)
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))


def field(number: int, value: Union[int, bytes]) -> bytes:
    """Return a field of protobuf: a small number, or bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    length = len(value)
    prefix = [number << 3 | 2]
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    return bytes([*prefix, length]) + value


class Blocking:
    """An asynchronous client whose methods wait, so that a test can be written once for all clients."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if inspect.isasyncgenfunction(method):
            return lambda *args, **options: self._iterate(method(*args, **options))
        if not inspect.iscoroutinefunction(method):
            return method
        return lambda *args, **options: self._loop.run_until_complete(method(*args, **options))

    def _iterate(self, elements: Any) -> Iterator[Any]:
        try:
            while True:
                yield self._loop.run_until_complete(elements.__anext__())
        except StopAsyncIteration:
            return
        finally:
            self._loop.run_until_complete(elements.aclose())

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


Connect = Callable[..., sluice.Client]

KINDS: Dict[str, Callable[..., Any]] = {
    "sync": lambda g, **options: sluice.Client(g.url, g.admin_url, **options),
    "async": lambda g, **options: Blocking(sluice.AsyncClient(g.url, g.admin_url, **options)),
    "grpc": lambda g, **options: sluice.grpc.Client(g.grpc_url, **options),
    "grpc-async": lambda g, **options: Blocking(sluice.grpc.AsyncClient(g.grpc_url, **options)),
}
over_http = pytest.mark.parametrize("connect", ["sync", "async"], indirect=True)
over_grpc = pytest.mark.parametrize("connect", ["grpc", "grpc-async"], indirect=True)


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Connect]:
    """Makes clients of the gateway, of each kind in turn."""
    made: List[Any] = []

    def make(**options: Any) -> sluice.Client:
        made.append(KINDS[request.param](gateway, **options))
        return cast(sluice.Client, made[-1])

    yield make
    for client in made:
        client.__exit__()


@pytest.fixture
def client(connect: Connect) -> sluice.Client:
    return connect(sticky_header="X-User-Id", actor="tests")
