"""Gateways for the tests, the models that they serve, and how a client reaches them."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
import onnx
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    "BOOL": TensorProto.BOOL, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16, "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16, "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64, "FP16": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16, "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE, "BYTES": TensorProto.STRING,
}  # fmt: skip
DEMO = ("iris", "digits", "diabetes", "breast_cancer")
COLUMNS = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]  # of diabetes
NARROW_KEY, NARROW_NAME = "a-key-for-one-model", "narrow.example"
NARROW = [{"models": ["echo_FP64"], "actions": ["infer", "metadata"]}]
ISSUER, AUDIENCE = "https://issuer.example", "sluice"
CALLERS = {
    "tests": {"keys": ["${KEY}"], "allow": [{"models": ["*"], "actions": ["infer", "metadata", "statistics", "load", "route", "admin"]}]},
    # The service's description, which grpcurl asks for, is metadata too.
    "narrow": {
        "keys": ["${NARROW_KEY}"], "certificates": [NARROW_NAME], "jwt": [{"issuer": ISSUER, "subject": "narrow-service"}], "allow": NARROW,
    },
}  # fmt: skip
EXAMPLES = ("image", "lightgbm", "pytorch", "sklearn", "text", "xgboost")


@dataclass(frozen=True)
class Target:
    """Where a gateway listens, and what a client needs to call it."""

    http: str  # host:port
    grpc: str
    admin: str
    ca: Path | None = None  # PEM; None: the listeners speak without TLS
    headers: dict[str, str] = field(default_factory=dict)  # of every call
    certificate: tuple[Path, Path] | None = None  # of the client, and its key, PEM

    def ssl_context(self) -> ssl.SSLContext | None:
        if not self.ca:
            return None
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.certificate:
            context.load_cert_chain(*self.certificate)
        return context

    @property
    def scheme(self) -> str:
        return "https" if self.ca else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.http}"


class Issuer:
    """Signs tokens, as an identity provider does."""

    def __init__(self, folder: Path):
        self._key: EllipticCurvePrivateKey = generate_private_key(SECP256R1())
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [public | {"kid": "1", "use": "sig", "alg": "ES256"}]}))

    def token(self, **claims: Any) -> str:
        claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600} | claims
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": "1"})


def write_models(folder: Path) -> None:
    """Write one echo model for each datatype, some with other signatures, and copies of the demo models and the examples."""
    for datatype in KINDS:
        echo(folder / f"echo_{datatype}", [("x", datatype, ["N"])])
    echo(folder / "person", [("age", "FP32", ["N", 1]), ("visits", "INT64", ["N", 1]), ("name", "BYTES", ["N", 1])])
    echo(folder / "classes", [("x", "FP32", ["N", 5])])
    (folder / "classes" / "1" / "labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
    echo(folder / "wide", [("x", "FP32", ["N", 1024])])
    echo(folder / "blob", [("x", "BYTES", ["N"])], suffix="_bytes")  # V1 writes an output with this ending as base64
    echo(folder / "on_demand", [("x", "FP32", ["N"])])
    busy(folder / "busy")
    for name in DEMO:
        copy(ROOT / "models" / name, folder / name)
    for name in EXAMPLES:
        copy(ROOT / "examples" / name / "1", folder / name / "1")


def echo(folder: Path, inputs: list[tuple[str, str, list]], suffix: str = "_out") -> None:
    """Write a model that answers each input X as the output X_out."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [name + suffix]) for name, _, _ in inputs],
        "echo",
        [helper.make_tensor_value_info(name, KINDS[datatype], shape) for name, datatype, shape in inputs],
        [helper.make_tensor_value_info(name + suffix, KINDS[datatype], shape) for name, datatype, shape in inputs],
    )
    save(folder, graph)


def busy(folder: Path) -> None:
    """Write a model that multiplies a matrix with itself as often as the input "turns" says, so that it can run for long."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["matrix", "matrix"], ["product"]),
            helper.make_node("Softmax", ["product"], ["next"]),  # keeps the values finite
            helper.make_node("Identity", ["condition"], ["again"]),
        ],
        "turn",
        [info("turn", TensorProto.INT64, []), info("condition", TensorProto.BOOL, []), info("matrix", TensorProto.FLOAT, [32, 32])],
        [info("again", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [32, 32])],
    )
    constant = helper.make_tensor("start", TensorProto.FLOAT, [32, 32], [1 / 32] * 1024)
    graph = helper.make_graph(
        [
            helper.make_node("Squeeze", ["turns"], ["count"]),
            helper.make_node("Loop", ["count", "", "start"], ["last"], body=body),
        ],
        "busy",
        [info("turns", TensorProto.INT64, [1])],
        [info("last", TensorProto.FLOAT, [32, 32])],
        initializer=[constant],
    )
    save(folder, graph)


def save(folder: Path, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (folder / "1").mkdir(parents=True)
    onnx.save(model, folder / "1" / "model.onnx")


def copy(source: Path, target: Path) -> None:
    """Copy the files of a folder: links out of the repository are not followed by the gateway."""
    for file in source.rglob("*"):
        if file.is_file():
            to = target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


class Gateway:
    """A gateway that serves all models but on_demand, which the tests load and unload. With a key, nobody may do anything
    without one, or a token of the issuer; NARROW_KEY, a certificate with NARROW_NAME and the token of narrow-service are for
    one model. If it is mutual, clients need a certificate, and it serves one model."""

    def __init__(
        self, program: Path, folder: Path, models: Path, authority: trustme.CA | None = None, key: str = "",
        issuer: Issuer | None = None, mutual: bool = False,
    ):  # fmt: skip
        folder.mkdir()
        self._log = folder / "log"
        config = settings(folder, models)
        self._target = Target("", "", "")
        if authority:
            self._target = replace(self._target, ca=folder / "ca.pem")
            encrypt(config, folder, authority, "require" if mutual else "request")
        if mutual:
            self._target = replace(self._target, certificate=write_certificate(authority.issue_cert("any.example"), folder, "client"))
            config["repository"]["load"] = ["echo_FP64"]
            del config["routes"]
        if key:
            self._target = replace(self._target, headers={"authorization": f"Bearer {key}"})
            auth = {"required": True, "jwt": [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(issuer.jwks)}]}
            config |= {"auth": auth, "callers": CALLERS, "groups": {"narrow": {"allow": NARROW}}}
        (folder / "sluice.yaml").write_text(json.dumps(config))  # JSON is YAML
        with self._log.open("w") as log:
            command = [program, "serve", "-c", folder / "sluice.yaml"]
            environment = os.environ | {"KEY": key, "NARROW_KEY": NARROW_KEY}
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def target(self) -> Target:
        """Wait until the gateway is ready, and return where it listens."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and self._process.poll() is None:
            line = next((line for line in self._log.read_text().splitlines() if '"msg":"listening"' in line), None)
            if line:
                at = json.loads(line)
                target = replace(self._target, http=at["http"], grpc=at["grpc"], admin=at["admin"])
                if ready(target):
                    return target
            time.sleep(0.05)
        raise RuntimeError(f"the gateway did not become ready: {self._log.read_text()}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)


def settings(folder: Path, models: Path) -> dict[str, Any]:
    """Return the configuration of a gateway without TLS and callers."""
    names = sorted(path.name for path in models.iterdir() if path.name != "on_demand")
    return {
        "repository": {"path": str(models), "control": "explicit", "load": names, "parallel_loads": 2},
        "data_dir": str(folder / "data"),
        "server": {"http": {"address": "127.0.0.1:0"}, "grpc": {"address": "127.0.0.1:0"}, "default_model": "diabetes"},
        "admin": {"address": "127.0.0.1:0"},
        "tracing": {"exporter": "otlp", "endpoint": "http://127.0.0.1:9", "sample": 0},  # nobody is there: only the settings matter
        "defaults": {"instances": 1, "versions": "all"},
        "models": {
            "busy": {"timeout": "1h"},  # so that nothing but the caller ends its run
            "diabetes": {"columns": {"input": COLUMNS}},
        },
        "routes": {
            "flowers": {
                "model": "iris",
                "variants": [{"version": 1, "weight": "50%"}, {"version": 2, "weight": "50%", "role": "canary"}],
                "sticky": {"header": "X-User-Id"},
            }
        },
    }


def encrypt(config: dict[str, Any], folder: Path, authority: trustme.CA, client_auth: str) -> None:
    """Give all listeners a certificate."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    cert, key = write_certificate(authority.issue_cert("localhost", "127.0.0.1"), folder, "server")
    tls = {"cert": str(cert), "key": str(key), "client_ca": str(folder / "ca.pem"), "client_auth": client_auth}
    for listener in (config["server"]["http"], config["server"]["grpc"], config["admin"]):
        listener["tls"] = tls


def set_alias(target: Target, model: str, alias: str, version: int) -> None:
    """Give a version of a model another name. Clients of V1 call that a label."""
    url = f"{target.scheme}://{target.admin}/api/v1/models/{model}/aliases/{alias}"
    headers = target.headers | {"If-Match": "*", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"version": version}).encode(), headers, method="PUT")
    with urllib.request.urlopen(request, context=target.ssl_context(), timeout=60):
        pass


def write_certificate(certificate: trustme.LeafCert, folder: Path, name: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    certificate.private_key_pem.write_to_path(str(key))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(cert), append=True)
    return cert, key


def ready(target: Target) -> bool:
    """Return whether all models that a gateway loads at its start have been loaded."""
    try:
        with urllib.request.urlopen(f"{target.url}/v2/health/ready", context=target.ssl_context(), timeout=10) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
