"""Trains a classifier of the language of a phrase, and exports it: its input is text, its output the language."""

import json
from pathlib import Path

import emoji
import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

HERE = Path(__file__).parent
# A word in scikit-learn. The default of skl2onnx is [a-zA-Z0-9_]+, which cuts words at each accent.
WORD = r"[\p{L}\p{N}_]{2,}"
LANGUAGES = ["de", "en", "es", "fr", "it", "pt"]


def phrases() -> tuple[np.ndarray, np.ndarray]:
    """Returns the names of all emojis in the package emoji, and their languages."""
    emoji.config.load_language(LANGUAGES)
    table = {}
    for names in emoji.EMOJI_DATA.values():
        for language in LANGUAGES:
            if language in names:
                table[names[language].strip(":").replace("_", " ").replace("-", " ")] = language
    return np.array(list(table)), np.array(list(table.values()))


def main() -> None:
    texts, languages = phrases()
    train, test, train_y, test_y = train_test_split(texts, languages, test_size=0.3, random_state=1, stratify=languages)
    pipeline = make_pipeline(TfidfVectorizer(min_df=2), LogisticRegression(C=10, max_iter=1000))
    pipeline.fit(train, train_y)
    print(f"accuracy on {len(test)} phrases that it was not trained on: {pipeline.score(test, test_y):.3f}")

    # The model splits the text into words and counts them.
    model = to_onnx(
        pipeline,
        name="text",
        initial_types=[("text", StringTensorType([None, 1]))],
        options={TfidfVectorizer: {"tokenexp": WORD}},
    )
    path = HERE / "1" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString())

    # The pipeline's own answers, for comparison with the gateway's.
    asked = test[::400]
    answers = {
        "tolerance": 1e-5,
        "inputs": {"text": [[text] for text in asked.tolist()]},
        "outputs": {
            "output_label": pipeline.predict(asked).tolist(),
            "output_probability": pipeline.predict_proba(asked).tolist(),
        },
    }
    (HERE / "answers.json").write_text(json.dumps(answers, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
