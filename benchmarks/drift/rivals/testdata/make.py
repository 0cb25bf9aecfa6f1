"""Runs river's detectors on some streams, and writes the streams and the rows at which they alarm.

    python -m venv venv && venv/bin/pip install river==0.26.1
    venv/bin/python make.py
"""
import json
import pathlib
import random

from river import drift

rng = random.Random(12345)
streams = {
    # That of river's documentation.
    "documentation": rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000),
    "falls slowly": [round(rng.gauss(3 - min(2, i / 1000), 1), 3) for i in range(3000)],
    "small steps": [round(rng.gauss(0.6 * (i // 1000 % 2), 1), 3) for i in range(4000)],
    "rare ones": [int(rng.random() < (0.02 if i < 1500 else 0.3)) for i in range(2500)],
    "no change": [round(rng.gauss(0, 1), 3) for i in range(1500)],
}


def alarms(detector, stream):
    found = []
    for i, x in enumerate(stream):
        detector.update(x)
        if detector.drift_detected:
            found.append(i)
    return found


golden = [
    {
        "name": name,
        "values": values,
        "adwin": {str(delta): alarms(drift.ADWIN(delta=delta), values) for delta in (0.0001, 0.002, 0.2)},
        "page_hinkley": {str(limit): alarms(drift.PageHinkley(threshold=limit), values) for limit in (10, 25, 50)},
    }
    for name, values in streams.items()
]
text = "[\n" + ",\n".join(json.dumps(g) for g in golden) + "\n]\n"
pathlib.Path(__file__).with_name("golden.json").write_text(text)
for g in golden:
    print(g["name"], g["adwin"], g["page_hinkley"])
