"""Trains every demo model, writes models/<model>/<version>/model.onnx and the scores in the model cards.

With --check nothing is written: it trains, and fails where a file would differ from the committed one.
"""

import argparse
import hashlib
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import datasets
import digits_cnn
import onnx_files
from datasets import SEED, Split

MODELS = Path(__file__).resolve().parent.parent / "models"
CLASSIFIER = ["label", "probabilities"]


@dataclass(frozen=True)
class Recipe:
    """How one version of one model is made."""

    model: str
    version: int
    build: Callable[[Split], onnx.ModelProto]

    @property
    def path(self) -> Path:
        return MODELS / self.model / str(self.version) / "model.onnx"


def _round_parameters(step) -> None:
    """Rounds what a step learned by matrix kernels, to hide the last bits in which those of different CPUs differ."""
    for name in ("coef_", "intercept_", "mean_", "scale_"):
        if hasattr(step, name):
            setattr(step, name, np.round(getattr(step, name), 6))
    for name in ("coefs_", "intercepts_"):  # of a perceptron, by layer
        if hasattr(step, name):
            setattr(step, name, [np.round(layer, 6) for layer in getattr(step, name)])


def _sklearn(estimator, name: str, outputs: list[str]) -> Callable[[Split], onnx.ModelProto]:
    def build(split: Split) -> onnx.ModelProto:
        estimator.fit(split.train_x.astype(np.float64), split.train_y)
        for step in getattr(estimator, "named_steps", {"": estimator}).values():
            _round_parameters(step)
        return onnx_files.from_sklearn(estimator, name, split.train_x.shape[1], outputs)

    return build


def _digits(split: Split) -> onnx.ModelProto:
    return onnx_files.finish(digits_cnn.graph(digits_cnn.train(split.train_x, split.train_y, SEED)))


RECIPES = [
    Recipe("iris", 1, _sklearn(LogisticRegression(C=0.01), "iris", CLASSIFIER)),
    Recipe("iris", 2, _sklearn(
        GradientBoostingClassifier(n_estimators=40, max_depth=2, random_state=SEED), "iris", CLASSIFIER)),
    # Not lbfgs: on so few rows its way depends on the last bits, and with it where it ends.
    Recipe("iris", 3, _sklearn(
        MLPClassifier((8,), activation="tanh", alpha=0.01, batch_size=15, learning_rate_init=0.01, max_iter=1000,
                      random_state=SEED), "iris", CLASSIFIER)),
    Recipe("breast_cancer", 1, _sklearn(
        GradientBoostingClassifier(n_estimators=80, max_depth=3, subsample=0.8, random_state=SEED),
        "breast_cancer", CLASSIFIER)),
    Recipe("digits", 1, _digits),
    Recipe("diabetes", 1, _sklearn(
        make_pipeline(StandardScaler(), Ridge(alpha=10.0)), "diabetes", ["prediction"])),
]


def scores(model: bytes, split: Split) -> dict[str, str]:
    """Measures the ONNX file itself, through ONNX Runtime, on the rows held out."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"input": split.test_x})
    y = split.test_y
    if len(outputs) == 1:
        prediction = outputs[0][:, 0]
        return {
            "R²": f"{r2_score(y, prediction):.3f}",
            "mean absolute error": f"{mean_absolute_error(y, prediction):.1f}",
        }
    label, probabilities = outputs
    result = {
        "accuracy": f"{accuracy_score(y, label):.3f}",
        "log loss": f"{-np.log(probabilities[np.arange(len(y)), y]).mean():.3f}",
    }
    if probabilities.shape[1] == 2:
        result["ROC AUC"] = f"{roc_auc_score(y, probabilities[:, 1]):.3f}"
    return result


def write_card(model: str, rows: dict[int, dict[str, str]], split: Split) -> None:
    """Replaces the table between the two score marks of the model's card."""
    names = list(next(iter(rows.values())))
    table = [
        "| version | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
        *(f"| {version} | " + " | ".join(row.values()) + " |" for version, row in rows.items()),
        "",
        f"Trained on {len(split.train_y)} rows, measured on the {len(split.test_y)} held out.",
    ]
    card = MODELS / model / "MODEL_CARD.md"
    text, found = re.subn(
        r"(?s)(<!-- scores -->\n).*?(<!-- /scores -->)",
        lambda m: m[1] + "\n".join(table) + "\n" + m[2],
        card.read_text(),
    )
    if not found:
        raise ValueError(f"{card.name} of {model} has no score marks")
    card.write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file differs")
    check = parser.parse_args().check
    warnings.simplefilter("error")  # a fit that did not converge is no model to publish
    different = False
    table: dict[str, dict[int, dict[str, str]]] = {}
    for recipe in RECIPES:
        split = datasets.load(recipe.model)
        data = recipe.build(split).SerializeToString(deterministic=True)
        row = scores(data, split)
        table.setdefault(recipe.model, {})[recipe.version] = row
        digest = hashlib.sha256(data).hexdigest()
        said = ", ".join(f"{name} {value}" for name, value in row.items())
        print(f"{recipe.model}/{recipe.version}  {len(data):>7} bytes  {digest[:16]}  {said}")
        if check:
            if not recipe.path.exists() or recipe.path.read_bytes() != data:
                print(f"{recipe.model}/{recipe.version} differs from the committed file", file=sys.stderr)
                different = True
            continue
        recipe.path.parent.mkdir(parents=True, exist_ok=True)
        recipe.path.write_bytes(data)
    if not check:
        for model, rows in table.items():
            write_card(model, rows, datasets.load(model))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
