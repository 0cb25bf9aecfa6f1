"""Asks the gateway how the diabetes of two patients will progress."""

import os

import numpy as np
import sluice

# age, sex, body mass index, blood pressure, and six numbers from the blood
patients = np.array([
    [60.0, 1.0, 23.4, 76.67, 247.0, 148.0, 65.0, 3.8, 5.1358, 77.0],
    [27.0, 1.0, 22.6, 71.0, 116.0, 43.4, 56.0, 2.0, 4.4188, 79.0],
], np.float32)
with sluice.Client(os.environ.get("SLUICE_DATA", "localhost:8000")) as client:
    result = client.infer("pytorch", {"measurements": patients})
for progression in result.outputs["progression"]:
    print(f"{progression:.1f}")
