"""Trains a LightGBM classifier of tumours and exports it with onnxmltools."""

import json
from pathlib import Path

import lightgbm
import numpy as np
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def main() -> None:
    data = load_breast_cancer(as_frame=True)
    rows = data.data.iloc[:, :10].astype(np.float32)  # the datatype of the exported model
    train, test, train_y, test_y = train_test_split(rows, data.target, test_size=0.3, random_state=1, stratify=data.target)
    classifier = lightgbm.LGBMClassifier(n_estimators=40, num_leaves=8, n_jobs=1, random_state=1, verbose=-1)
    classifier.fit(train, train_y)
    print(f"accuracy on {len(test)} tumours that it was not trained on: {classifier.score(test, test_y):.3f}")

    # None is the number of rows. The ZipMap from onnxmltools may stay.
    model = convert_lightgbm(classifier, initial_types=[("input", FloatTensorType([None, rows.shape[1]]))], name="lightgbm", target_opset=15)
    # onnxmltools gives the classes the shape INT64 [1], for any number of rows.
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    path = HERE / "1" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString())
    train.to_csv(HERE / "train.csv", index=False)  # for a profile

    # LightGBM's own answers, for comparison with the gateway's.
    asked = test.iloc[::15]
    answers = {
        "tolerance": 1e-5,
        "inputs": {"input": asked.to_numpy().tolist()},
        "outputs": {"label": classifier.predict(asked).tolist(), "probabilities": classifier.predict_proba(asked).tolist()},
    }
    (HERE / "answers.json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
