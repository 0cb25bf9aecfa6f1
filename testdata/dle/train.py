"""Trains a regression and a model of its loss, exports both, and compares the estimated loss with NannyML's.

    python -m venv venv
    venv/bin/pip install nannyml==0.13.1 lightgbm==4.5.0 'scikit-learn<1.6' 'category-encoders<2.7' onnxmltools==1.16.0 onnxruntime statsmodels plotly kaleido 'pandas<3' 'numpy<2.3'
    venv/bin/python train.py

The data is real: visits to a doctor in a year (RAND health insurance experiment, 20,190 rows, in statsmodels), and car prices of
NannyML's package. Later rows are drawn so that rows with more of one feature come more often, in each of ten parts more of it.
"""
import json
import os
import pathlib
import shutil
import tempfile
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import lightgbm
import nannyml
import numpy as np
import onnxruntime
import pandas as pd
import statsmodels.api as sm
from nannyml import datasets
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

warnings.filterwarnings("ignore")
HERE, PARTS, ROWS = pathlib.Path(__file__).parent, 10, 600


def export(model, columns, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx = convert_lightgbm(model, initial_types=[("input", FloatTensorType([None, columns]))], name=path.parent.parent.name, target_opset=15)
    path.write_bytes(onnx.SerializeToString())
    return onnxruntime.InferenceSession(path)


def run(session, rows):
    return session.run(None, {"input": rows.astype(np.float32)})[0].reshape(-1).astype(float)


def loss_model(rows, predictions, truth, squared):
    """The loss model learns the error of predictions of rows that the first model was not trained on."""
    error = truth - predictions
    inputs = np.column_stack([rows, predictions])  # the prediction is the last column
    return lightgbm.LGBMRegressor(n_jobs=1, random_state=1, verbose=-1).fit(inputs, error**2 if squared else np.abs(error))


def shifted(rng, data, by, n):
    """Parts of n rows; the later the part, the more often it has rows with large values of a column."""
    rank = data[by].rank(pct=True).to_numpy()
    for part in range(PARTS):
        weights = np.exp(3 * rank * part / (PARTS - 1))
        yield data.iloc[rng.choice(len(data), n, p=weights / weights.sum())]


def compare(name, reference, parts, features, folder):
    """Returns the sums of each part, as the gateway has them, beside NannyML's numbers."""
    sessions = {}
    for squared, metric in [(False, "mae"), (True, "rmse")]:  # of the expected absolute and squared error
        model = loss_model(reference[features].to_numpy(), reference["y_pred"].to_numpy(), reference["y_true"].to_numpy(), squared)
        sessions[metric] = export(model, len(features) + 1, folder / f"{name}_{metric}" / "1" / "model.onnx")
    analysis = pd.concat(parts, ignore_index=True)
    dle = nannyml.DLE(feature_column_names=features, y_pred="y_pred", y_true="y_true", metrics=["mae", "rmse"], chunk_number=PARTS,
                      hyperparameters={"n_jobs": 1, "random_state": 1, "verbose": -1})
    theirs = dle.fit(reference).estimate(analysis.drop(columns=["y_true"])).filter(period="analysis").to_df()
    chunks = []
    for i, part in enumerate(parts):
        inputs = np.column_stack([part[features].to_numpy(), part["y_pred"].to_numpy()])
        error = (part["y_true"] - part["y_pred"]).to_numpy().astype(float)
        chunk = {}
        for metric, session in sessions.items():
            loss = error**2 if metric == "rmse" else np.abs(error)
            expected = np.maximum(run(session, inputs), 0)
            truth = np.sqrt(loss.mean()) if metric == "rmse" else loss.mean()
            chunk[metric] = {
                "rows": len(part), "sum": expected.sum(), "squares": (expected**2).sum(), "truth": loss.sum(),
                "residuals": ((loss - expected) ** 2).sum(), "nannyml": float(theirs[metric]["value"][i]), "metric": float(truth),
            }
        chunks.append(chunk)
    return {"name": name, "parts": chunks}


def visits(rng, models):
    data = sm.datasets.randhie.load_pandas().data.sample(frac=1, random_state=1).reset_index(drop=True)
    features = [c for c in data.columns if c != "mdvis"]
    data[features] = data[features].astype(np.float32)
    third = len(data) // 3
    first, reference, later = data[:third], data[third : 2 * third].copy(), data[2 * third :].copy()
    model = lightgbm.LGBMRegressor(n_estimators=50, num_leaves=15, n_jobs=1, random_state=1, verbose=-1).fit(first[features].to_numpy(), first["mdvis"])
    session = export(model, len(features), models / "visits" / "1" / "model.onnx")
    for part in (reference, later):
        part["y_pred"], part["y_true"] = run(session, part[features].to_numpy()), part["mdvis"]
    parts = list(shifted(rng, later, "disea", ROWS))
    pd.concat([parts[0], parts[-1]])[features + ["y_true"]].to_csv(HERE / "visits.csv", index=False, float_format="%.6g")
    return compare("visits", reference, parts, features, models)


def prices(rng, models):
    reference, later, targets = datasets.load_synthetic_car_price_dataset()
    later = later.merge(targets, on="id")
    features = ["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"]
    for data in (reference, later):
        for column in ("fuel", "transmission"):
            data[column] = data[column].astype("category").cat.codes
        data[features + ["y_pred"]] = data[features + ["y_pred"]].astype(float)
    half = later.iloc[: len(later) // 2]  # before the data set's own shift
    return compare("prices", reference.iloc[:20000], list(shifted(rng, half, "km_driven", 2000)), features, models)


def main():
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as scratch:
        sets = [visits(rng, pathlib.Path(scratch)), prices(rng, pathlib.Path(scratch))]
        for model in ("visits", "visits_mae"):  # the gateway's tests serve these
            shutil.copytree(pathlib.Path(scratch) / model, HERE / "models" / model, dirs_exist_ok=True)
    (HERE / "nannyml.json").write_text(json.dumps(sets, separators=(",", ":")) + "\n")
    for data in sets:
        for metric in ("mae", "rmse"):
            p = [part[metric] for part in data["parts"]]
            value = [float((x["sum"] / x["rows"]) ** (1 if metric == "mae" else 0.5)) for x in p]
            print(data["name"], metric, "truth", [round(x["metric"], 3) for x in p], "ours", [round(v, 3) for v in value],
                  "NannyML", [round(x["nannyml"], 3) for x in p])


if __name__ == "__main__":
    main()
