"""Trains an XGBoost classifier of wines and exports it with onnxmltools."""

import json
from pathlib import Path

import numpy as np
import xgboost
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def main() -> None:
    data = load_wine()
    rows = data.data.astype(np.float32)  # the datatype of the exported model
    train, test, train_y, test_y = train_test_split(rows, data.target, test_size=0.3, random_state=1, stratify=data.target)
    classifier = xgboost.XGBClassifier(n_estimators=50, max_depth=3, n_jobs=1, random_state=1)
    classifier.fit(train, train_y)
    print(f"accuracy on {len(test)} wines that it was not trained on: {classifier.score(test, test_y):.3f}")

    # None is the number of rows.
    model = convert_xgboost(classifier, initial_types=[("input", FloatTensorType([None, rows.shape[1]]))], name="xgboost", target_opset=15)
    path = HERE / "1" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString())
    # XGBoost numbers its classes; their names are in a file beside the model.
    (path.parent / "labels.txt").write_text("".join(f"{name}\n" for name in data.target_names))

    # XGBoost's own answers, for comparison with the gateway's.
    asked = test[::5]
    answers = {
        "tolerance": 1e-5,
        "inputs": {"input": asked.tolist()},
        "outputs": {"label": classifier.predict(asked).tolist(), "probabilities": classifier.predict_proba(asked).tolist()},
    }
    (HERE / "answers.json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
