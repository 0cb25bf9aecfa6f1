"""What clients ask about the server and its models, and what they can change."""

from __future__ import annotations

from typing import Callable

import numpy as np
import pytest

from clients import Client, Request, Tensor
from expect import refused, same

REQUEST = Request("on_demand", [Tensor("x", "FP32", np.ones(1, np.float32))])


def test_live(client: Client):
    """Server: liveness"""
    same(client.live(), True)


def test_ready(client: Client):
    """Server: readiness"""
    same(client.ready(), True)


def test_model_ready(client: Client):
    """Server: readiness of a model"""
    same((client.model_ready("iris"), client.model_ready("absent")), (True, False))


def test_version_ready(client: Client):
    """Server: readiness of a version"""
    same((client.model_ready("iris", "2"), client.model_ready("iris", "9")), (True, False))


def test_services(client: Client):
    """Server: reflection, and the health service of gRPC"""
    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(client.services())
    same(client.grpc_health(), "SERVING")


def test_server_metadata(client: Client):
    """Server: metadata of the server"""
    metadata = client.server_metadata()
    same(metadata["name"], "sluice")
    assert metadata["version"] and {"binary_tensor_data", "classification", "statistics"} <= set(metadata["extensions"]), metadata


def test_model_metadata(client: Client):
    """Server: metadata of a model"""
    metadata = client.model_metadata("person")
    same((metadata["name"], metadata["versions"]), ("person", ["1"]))
    signature = [(tensor["name"], tensor["datatype"], tensor["shape"]) for tensor in metadata["inputs"]]
    same(signature, [("age", "FP32", [-1, 1]), ("visits", "INT64", [-1, 1]), ("name", "BYTES", [-1, 1])])
    same([tensor["name"] for tensor in metadata["outputs"]], ["age_out", "visits_out", "name_out"])
    same(client.model_metadata("iris", "1")["inputs"][0]["shape"], [-1, 4])
    with refused("NOT_FOUND", "Request for unknown model: 'absent'"):
        client.model_metadata("absent")


def test_config(client: Client):
    """Server: configuration of a model"""
    config = client.config("wide")
    same((config["name"], config["platform"]), ("wide", "onnxruntime_onnx"))
    assert int(config["max_batch_size"]) > 1, config
    for tensors, name in ((config["input"], "x"), (config["output"], "x_out")):
        same([(t["name"], t["data_type"], [int(dim) for dim in t["dims"]]) for t in tensors], [(name, "TYPE_FP32", [1024])])
    assert config["instance_group"] and "dynamic_batching" in config, config


def test_statistics(client: Client):
    """Server: statistics of a version, and of all models"""

    def counts() -> tuple[int, int]:
        stats = client.statistics("diabetes", "1")[0]
        for block in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
            assert block in stats["inference_stats"], stats
        return int(stats["inference_stats"]["success"]["count"]), int(stats["inference_count"])

    client.infer(Request("diabetes", [Tensor("input", "FP32", np.zeros((1, 10), np.float32))]))
    before = counts()
    client.infer(Request("diabetes", [Tensor("input", "FP32", np.zeros((4, 10), np.float32))]))
    after = counts()
    same((after[0] - before[0], after[1] - before[1]), (1, 4))
    assert {"iris", "person"} <= {model["name"] for model in client.statistics()}


def test_index(client: Client):
    """Control: repository index"""
    states = client.index()
    same(states["iris"], {"1": "READY", "2": "READY", "3": "READY"})
    assert "READY" not in states["on_demand"].values(), states["on_demand"]


def test_load_and_unload(client: Client):
    """Control: load and unload"""
    client.load("on_demand")
    same(client.index()["on_demand"], {"1": "READY"})
    client.infer(REQUEST)
    client.unload("on_demand")
    assert "READY" not in client.index()["on_demand"].values()
    with refused("NOT_FOUND", "Request for unknown model: 'on_demand'"):
        client.infer(REQUEST)
    with refused("NOT_FOUND", "absent"):
        client.load("absent")


def test_load_with_config(client: Client, on_purpose: Callable[[str], None]):
    """Control: load with a configuration of the caller's"""
    with refused("UNIMPLEMENTED", "config") as refusal:
        client.load("on_demand", config="{}")
    on_purpose(refusal.text)


@pytest.mark.parametrize("kind", ["system", "cuda"])
def test_shared_memory(client: Client, kind: str):
    """Control: shared memory: status, unregister"""
    same(list(client.shared_memory_status(kind)), [])
    client.unregister_shared_memory(kind)


@pytest.mark.parametrize("kind", ["system", "cuda"])
def test_register_shared_memory(client: Client, kind: str, on_purpose: Callable[[str], None]):
    """Control: shared memory: register"""
    with refused("UNIMPLEMENTED", "shared memory") as refusal:
        client.register_shared_memory(kind)
    on_purpose(refusal.text)
