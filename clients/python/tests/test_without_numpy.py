"""The same without numpy and pandas, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from .conftest import Gateway

PROGRAM = """
import json, sys
sys.modules["numpy"] = sys.modules["pandas"] = None
import sluice

client = sluice.Client(sys.argv[1])
rows = [[6.4, 3.2, 4.5, 1.5], [5.1, 3.5, 1.4, 0.2]]
names = ["a", "b", "c", "d"]
people = {"name": ["x", "y"], "age": [1.5, None], "visits": [1, 2]}
result = client.infer("iris", {"input": sluice.Tensor(rows, "FP32")})
def refused(rows):
    try:
        client.predict("iris", rows)
    except (sluice.SluiceError, ValueError, TypeError) as error:
        return str(error)
try:
    client.infer("iris", {"input": rows})
except TypeError as error:
    untyped = str(error)
print(json.dumps({
    "infer": result.outputs["label"], "probabilities": [len(row) for row in result.outputs["probabilities"]],
    "served": [result.version, result.route],
    "bytes": client.infer("echo_BYTES", {"x": sluice.Tensor(["a"], "BYTES")}).outputs["x_out"][0].decode(),
    "empty": client.infer("iris", {"input": sluice.Tensor([], "FP32", [0, 4])}).outputs,
    "matrix": client.predict("iris", rows, outputs=["label"]),
    "columns": client.predict("iris", dict(zip(names, zip(*rows))), outputs=["label"]),
    "records": client.predict("iris", [dict(zip(names, row)) for row in rows], outputs=["label"]),
    "wide": list(client.predict("iris", rows)),
    "people": client.predict("person", people),
    "words": client.predict("word", {"w": [["a", "b"], ["c", "d"]]}),
    "ragged": refused([[1.0], [1.0, 2.0]]), "few": refused({"a": [1.0]}), "untyped": untyped,
}))
"""


def test_lists_in_lists_out(gateway: Gateway) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, gateway.url], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    got = json.loads(ran.stdout)
    assert got["infer"] == [2, 0] and got["probabilities"] == [3, 3] and got["served"] == [1, "iris@1"]
    assert got["bytes"] == "a" and got["empty"] == {"label": [], "probabilities": []}
    assert got["matrix"] == got["columns"] == {"label": [2, 0]}
    assert got["records"] == [{"label": 2}, {"label": 0}]
    assert got["wide"] == ["label", "probabilities_0", "probabilities_1", "probabilities_2"]
    age = got["people"].pop("age_out")
    assert age[0] == 1.5 and age[1] != age[1]
    assert got["people"] == {"visits_out": [1, 2], "name_out": ["x", "y"]}
    assert got["words"] == {"w_out_0": ["a", "c"], "w_out_1": ["b", "d"]}
    assert "do not have the same length" in got["ragged"]
    assert "expects 4 columns, but the table has 1" in got["few"]
    assert "numpy is not installed" in got["untyped"]
