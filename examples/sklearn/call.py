"""Asks the gateway where two cars were made."""

import os

import pandas as pd
import sluice

cars = pd.DataFrame({
    "name": ["toyota celica gt", "chevrolet monza 2+2"],
    "cylinders": ["4", "8"],
    "horsepower": [95.0, None],  # None is a missing value
    "weight": [2515, 3221],
    "acceleration": [14.8, 13.5],
})
with sluice.Client(os.environ.get("SLUICE_DATA", "localhost:8000")) as client:
    answer = client.predict("sklearn", cars)
probability = answer.filter(like="output_probability").max(axis=1)
for name, origin, p in zip(cars["name"], answer["output_label"], probability):
    print(f"{name}: {origin} ({p:.2f})")
