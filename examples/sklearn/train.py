"""Train and export a scikit-learn pipeline that predicts where a car was made from its name and its figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import vega_datasets
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HERE = Path(__file__).parent
NUMBERS = ["horsepower", "weight", "acceleration"]


def cars() -> tuple[pd.DataFrame, pd.Series]:
    """Returns the cars of the 1970s in vega_datasets, and where they were made."""
    table = pd.read_json(vega_datasets.local_data.cars.filepath)
    table = table.rename(columns={"Weight_in_lbs": "weight"}).rename(columns=str.lower)
    # One input of float32 for each column of numbers; NaN is a missing value.
    table[NUMBERS] = table[NUMBERS].astype(np.float32)
    table["cylinders"] = table["cylinders"].astype(str)
    return table[["name", "cylinders", *NUMBERS]], table["origin"]


def main() -> None:
    rows, origin = cars()
    train, test, train_y, test_y = train_test_split(rows, origin, test_size=0.3, random_state=1, stratify=origin)
    pipeline = make_pipeline(
        ColumnTransformer([
            ("name", TfidfVectorizer(), "name"),
            ("cylinders", OneHotEncoder(handle_unknown="ignore"), ["cylinders"]),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        ]),
        LogisticRegression(max_iter=1000),
    ).fit(train, train_y)
    print(f"accuracy on {len(test)} cars that it was not trained on: {pipeline.score(test, test_y):.3f}")

    # Each column is its own input, with its name.
    inputs = [(c, FloatTensorType([None, 1]) if c in NUMBERS else StringTensorType([None, 1])) for c in rows.columns]
    model = to_onnx(pipeline, name="sklearn", initial_types=inputs)
    path = HERE / "1" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString())

    # The pipeline's own answers, for comparison with the gateway's.
    asked = test.iloc[::12]
    answers = {
        "tolerance": 1e-5,
        "inputs": {c: [[None if pd.isna(v) else v] for v in asked[c].tolist()] for c in asked.columns},
        "outputs": {
            "output_label": pipeline.predict(asked).tolist(),
            "output_probability": pipeline.predict_proba(asked).tolist(),
        },
    }
    (HERE / "answers.json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
