"""Runs NannyML's CBPE on data sets of its package, and writes its numbers beside histograms of the scores.

    python -m venv venv && venv/bin/pip install nannyml==0.13.1 statsmodels plotly kaleido 'pandas<3' 'numpy<2.3'
    venv/bin/python make.py
"""
import json
import os
import pathlib
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import numpy as np
from nannyml import datasets
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

warnings.filterwarnings("ignore")
BINS, LOGITS, CHUNKS = 1024, 16, 10


def bins(p):
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return np.clip(np.floor((np.log(p) - np.log1p(-p) + LOGITS) * BINS / (2 * LOGITS)), 0, BINS - 1).astype(int)


def curve(b, hits):
    rows, came = np.bincount(b, minlength=BINS), np.bincount(b, weights=hits, minlength=BINS).astype(int)
    some = np.flatnonzero(rows)
    return {"bins": some.tolist(), "rows": rows[some].tolist(), "hits": came[some].tolist()}


def binary_curves(p, y):
    b = bins(p)
    return [curve(np.where(p >= 0.5, np.maximum(b, BINS // 2), np.minimum(b, BINS // 2 - 1)), y == 1)]


def confusion(predicted, y, classes):
    return [[int(((predicted == i) & (y == j)).sum()) for j in classes] for i in classes]


def binary(name, load, target, key):
    reference, analysis, targets = load()
    analysis = analysis.merge(targets, on=key) if key else analysis.join(targets)
    for data in (reference, analysis):
        data["y_pred"] = (data["y_pred_proba"] >= 0.5).astype(int)
    metrics = ["accuracy", "roc_auc", "precision", "recall", "f1"]
    cbpe = nannyml.CBPE(y_pred_proba="y_pred_proba", y_pred="y_pred", y_true=target, problem_type="classification_binary",
                        metrics=metrics, chunk_number=CHUNKS)
    estimates = cbpe.fit(reference).estimate(analysis.drop(columns=[target])).filter(period="analysis").to_df()
    chunks = []
    for i, part in enumerate(np.array_split(np.arange(len(analysis)), CHUNKS)):
        rows = analysis.iloc[part]
        p, y, predicted = rows["y_pred_proba"].to_numpy(), rows[target].to_numpy().astype(int), rows["y_pred"].to_numpy()
        truth = {"accuracy": accuracy_score(y, predicted), "roc_auc": roc_auc_score(y, p), "precision": precision_score(y, predicted),
                 "recall": recall_score(y, predicted), "f1": f1_score(y, predicted)}
        chunks.append({"curves": binary_curves(p, y), "metrics": {
            m: {"estimate": float(estimates[m]["value"][i]), "sampling_error": float(estimates[m]["sampling_error"][i]),
                "truth": float(truth[m])} for m in metrics}})
    p, y = reference["y_pred_proba"].to_numpy(), reference[target].to_numpy().astype(int)
    return {"name": name, "reference": {"curves": binary_curves(p, y), "rows": len(p),
                                        "confusion": confusion(reference["y_pred"].to_numpy(), y, [0, 1])}, "chunks": chunks}


def multiclass(name):
    reference, analysis, targets = datasets.load_synthetic_multiclass_classification_dataset()
    analysis = analysis.merge(targets, on="id")
    classes = ["highstreet_card", "prepaid_card", "upmarket_card"]
    columns = {c: "y_pred_proba_" + c for c in classes}
    metrics = ["accuracy", "roc_auc"]

    def scores(data):
        p = data[[columns[c] for c in classes]].to_numpy()
        p = p / p.sum(axis=1, keepdims=True)
        return p, p.argmax(axis=1), data["y_true"].map(classes.index).to_numpy()

    for data in (reference, analysis):
        data["y_pred"] = [classes[k] for k in scores(data)[1]]
    cbpe = nannyml.CBPE(y_pred_proba=columns, y_pred="y_pred", y_true="y_true", problem_type="classification_multiclass",
                        metrics=metrics, chunk_number=CHUNKS)
    estimates = cbpe.fit(reference).estimate(analysis.drop(columns=["y_true"])).filter(period="analysis").to_df()

    def curves(p, best, y):
        by_class = [curve(bins(p[:, k]), y == k) for k in range(len(classes))]
        return by_class + [curve(bins(p.max(axis=1)), y == best)]

    chunks = []
    for i, part in enumerate(np.array_split(np.arange(len(analysis)), CHUNKS)):
        p, best, y = scores(analysis.iloc[part])
        truth = {"accuracy": (best == y).mean(), "roc_auc": roc_auc_score(y, p, multi_class="ovr", average="macro")}
        chunks.append({"curves": curves(p, best, y), "predicted": np.bincount(best, minlength=3).tolist(),
                       "classes": np.bincount(y, minlength=3).tolist(), "metrics": {
            m: {"estimate": float(estimates[m]["value"][i]), "sampling_error": float(estimates[m]["sampling_error"][i]),
                "truth": float(truth[m])} for m in metrics}})
    p, best, y = scores(reference)
    return {"name": name, "reference": {"curves": curves(p, best, y), "rows": len(p), "confusion": confusion(best, y, [0, 1, 2])},
            "chunks": chunks}


sets = [
    binary("car loan", datasets.load_synthetic_car_loan_dataset, "repaid", "id"),
    multiclass("credit cards"),
]
path = pathlib.Path(__file__).with_name("cbpe.json")
path.write_text("[\n" + ",\n".join(json.dumps(s, separators=(",", ":")) for s in sets) + "\n]\n")
for s in sets:
    for m in s["chunks"][0]["metrics"]:
        print(s["name"], m, *(f"{c['metrics'][m]['estimate']:.4f}/{c['metrics'][m]['truth']:.4f}" for c in s["chunks"]))
