"""Asks the gateway about two wines."""

import os

import numpy as np
import sluice

# The columns in the order in which the model was trained.
wines = np.array([
    [13.52, 3.17, 2.72, 23.5, 97.0, 1.55, 0.52, 0.5, 0.55, 4.35, 0.89, 2.06, 520.0],
    [13.11, 1.9, 2.75, 25.5, 116.0, 2.2, 1.28, 0.26, 1.56, 7.1, 0.61, 1.33, 425.0],
], np.float32)
with sluice.Client(os.environ.get("SLUICE_DATA", "localhost:8000")) as client:
    outputs = client.model_metadata("xgboost")["outputs"]
    names = next(o["parameters"]["labels"] for o in outputs if o["name"] == "probabilities")
    result = client.infer("xgboost", {"input": wines})
for label, probabilities in zip(result.outputs["label"], result.outputs["probabilities"]):
    print(f"{names[label]} ({probabilities[label]:.2f})")
