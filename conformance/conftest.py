"""Runs every test with every client, over plain connections, over TLS, and over TLS with a key, and records what each did.

A test is a feature: the first line of its docstring is "SECTION: ROW" in the tables of docs/protocol.md, which
report.py writes. A row may name parameters of the test in braces. Several tests may share a row.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Callable, Iterator

import pytest
import trustme

import gateway
from clients import CLIENTS, LARGE, SMALL, Client, NotOffered, connect
from gateway import Issuer, Target

PROGRAM = Path(os.environ.get("SLUICE_GATEWAY", gateway.ROOT / "bin" / "gateway"))
TRANSPORTS = ("plain", "TLS", "TLS with a key")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", default="small", help="small, large, or names of clients with commas")
    parser.addoption("--results", type=Path, help="file for what each client did in each test, JSON")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "client_name" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--clients")
        names = {"small": list(SMALL), "large": list(LARGE)}.get(asked) or asked.split(",")
        if unknown := set(names) - set(CLIENTS):
            raise pytest.UsageError(f"unknown clients {sorted(unknown)}: expected some of {list(CLIENTS)}")
        if "transport" in metafunc.fixturenames:
            metafunc.parametrize("transport", TRANSPORTS, scope="session")
        metafunc.parametrize("client_name", names, scope="session")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the gateways, with their models."""
    folder = tmp_path_factory.mktemp("gateways")
    gateway.write_models(folder / "models")
    return folder


@pytest.fixture(scope="session")
def mutual(authority: trustme.CA, folder: Path) -> Iterator[Target]:
    """A gateway that requires certificates of clients, and a client that has one."""
    started = gateway.Gateway(PROGRAM, folder / "mutual", folder / "models", authority, mutual=True)
    try:
        yield started.target()
    finally:
        started.stop()


@pytest.fixture(scope="session")
def targets(authority: trustme.CA, issuer: Issuer, folder: Path) -> Iterator[dict[str, Target]]:
    """The gateways by transport."""
    gateways: dict[str, gateway.Gateway] = {}
    try:
        for name in TRANSPORTS:
            key = secrets.token_urlsafe() if "key" in name else ""
            gateways[name] = gateway.Gateway(PROGRAM, folder / name, folder / "models", authority if "TLS" in name else None, key, issuer)
        found = {name: started.target() for name, started in gateways.items()}
        for target in found.values():
            gateway.set_alias(target, "iris", "steady", 1)
        yield found
    finally:
        for started in gateways.values():
            started.stop()


def connected(client_name: str, target: Target) -> Iterator[Client]:
    try:
        made = connect(client_name, target)
    except NotOffered as missing:
        pytest.skip(f"not offered by the client: {missing}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def client(targets: dict[str, Target], transport: str, client_name: str) -> Iterator[Client]:
    yield from connected(client_name, targets[transport])


@pytest.fixture(scope="session")
def admin(targets: dict[str, Target], client_name: str) -> Iterator[Client]:
    """A client with a key that has the action `admin`."""
    yield from connected(client_name, targets["TLS with a key"])


REFUSAL: pytest.StashKey[str] = pytest.StashKey()
RESULTS: pytest.StashKey[list[dict[str, str]]] = pytest.StashKey()


@pytest.fixture
def on_purpose(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Records that the feature of this test is refused on purpose, with the text that says so."""

    def note(text: str) -> None:
        request.node.stash[REFUSAL] = text

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    except NotOffered as missing:
        pytest.skip(f"not offered by the client: {missing}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[pytest.TestReport]:
    report: pytest.TestReport = yield
    callspec = getattr(item, "callspec", None)
    if callspec is None or "client_name" not in callspec.params or (report.when != "call" and not report.failed):
        return report
    section, row = item.function.__doc__.splitlines()[0].format(**callspec.params).split(": ", 1)
    text = item.stash.get(REFUSAL, "")
    outcome = "refused" if report.passed and text else report.outcome  # passed, skipped or failed
    result = {
        "client": callspec.params["client_name"], "transport": callspec.params.get("transport", ""), "section": section,
        "row": row, "outcome": outcome, "text": text,
    }  # fmt: skip
    item.config.stash.setdefault(RESULTS, []).append(result)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--results")
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(result) + "\n" for result in session.config.stash.get(RESULTS, [])))
