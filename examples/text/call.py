"""Asks the gateway for the language of some phrases."""

import os

import numpy as np
import sluice

phrases = ["woman playing handball", "rosto com lágrimas de alegria", "drapeau avec cœur", "lachendes Gesicht"]
with sluice.Client(os.environ.get("SLUICE_DATA", "localhost:8000")) as client:
    result = client.infer("text", {"text": np.array(phrases, object).reshape(-1, 1)})
for phrase, language, p in zip(phrases, result.outputs["output_label"], result.outputs["output_probability"]):
    print(f"{phrase}: {language.decode()} ({p.max():.2f})")
