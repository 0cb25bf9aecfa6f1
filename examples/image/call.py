"""Sends a picture to the gateway and prints the three most likely digits."""

import os
import sys

import httpx
import numpy as np
from PIL import Image

path = sys.argv[1] if len(sys.argv) > 1 else "digit.png"
pixels = np.asarray(Image.open(path).convert("L"))  # grey, 0 to 255
request = {
    "inputs": [{"name": "pictures", "datatype": "UINT8", "shape": [1, *pixels.shape], "data": [pixels.tolist()]}],
    # Only the best three of the ten probabilities, as "value:index:label".
    "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}],
}
address = os.environ.get("SLUICE_DATA", "localhost:8000").removeprefix("http://")
answer = httpx.post(f"http://{address}/v2/models/image/infer", json=request).raise_for_status().json()
for text in answer["outputs"][0]["data"]:
    value, _, label = text.split(":")
    print(f"{label} ({float(value):.2f})")
