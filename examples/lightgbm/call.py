"""Asks the gateway about two tumours."""

import os

import pandas as pd
import sluice

# The columns in the order in which the model was trained.
tumours = pd.DataFrame(
    [
        [19.55, 28.77, 133.6, 1207.0, 0.0926, 0.2063, 0.1784, 0.1144, 0.1893, 0.06232],
        [14.05, 27.15, 91.38, 600.4, 0.09929, 0.1126, 0.04462, 0.04304, 0.1537, 0.06171],
    ],
    columns=["mean radius", "mean texture", "mean perimeter", "mean area", "mean smoothness", "mean compactness",
             "mean concavity", "mean concave points", "mean symmetry", "mean fractal dimension"],
)  # fmt: skip
with sluice.Client(os.environ.get("SLUICE_DATA", "localhost:8000")) as client:
    result = client.infer("lightgbm", {"input": tumours.to_numpy("float32")})
for label, probabilities in zip(result.outputs["label"], result.outputs["probabilities"]):
    print(["malignant", "benign"][label], f"({probabilities[label]:.2f})")
