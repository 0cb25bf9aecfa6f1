"""Turns trained models into the ONNX files that are served."""

import onnx
from onnx import helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

# Old enough for every ONNX Runtime of recent years, new enough for all that is used here.
OPSET = 17
ML_OPSET = 3
IR_VERSION = 8
BATCH = "batch"


def from_sklearn(estimator, name: str, features: int, outputs: list[str]) -> onnx.ModelProto:
    """Converts a fitted estimator: input [batch, features] and the outputs under the names given.

    Classifiers are exported without ZipMap, so that probabilities are one tensor and not a list of maps.
    """
    zipmap = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    model = convert_sklearn(
        estimator,
        name=name,
        initial_types=[("input", FloatTensorType([None, features]))],
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
        options=zipmap,
    )
    _rename_outputs(model.graph, outputs)
    return finish(model.graph)


def finish(graph: onnx.GraphProto) -> onnx.ModelProto:
    """Wraps a graph as a model: names the batch dimension, fixes the versions, checks the result."""
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        producer_name="sluice training",
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _rename_outputs(graph: onnx.GraphProto, names: list[str]) -> None:
    if len(names) != len(graph.output):
        raise ValueError(f"model has outputs {[o.name for o in graph.output]}, names given: {names}")
    new_name = {output.name: name for output, name in zip(graph.output, names)}
    for node in graph.node:
        for edges in (node.input, node.output):
            for i, edge in enumerate(edges):
                edges[i] = new_name.get(edge, edge)
    for output in graph.output:
        output.name = new_name[output.name]
