"""predict, against a real gateway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

import httpx
import numpy as np
import pandas as pd
import pytest

import sluice
import sluice._rows

from .conftest import Gateway

README = Path(__file__).resolve().parents[1] / "README.md"
ROWS = [[6.4, 3.2, 4.5, 1.5], [5.1, 3.5, 1.4, 0.2]]
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
IRIS = ["label", "probabilities_0", "probabilities_1", "probabilities_2"]
PERSON = {"name": ["é", "b"], "age": [40.5, 50], "visits": [1, 2]}


def test_tables_of_every_kind_are_one_matrix(client: sluice.Client) -> None:
    frame = pd.DataFrame(ROWS, columns=NAMES, index=[7, 9])
    want = client.predict("iris", frame)
    assert list(want.columns) == IRIS and list(want.index) == [7, 9]
    np.testing.assert_array_equal(want["label"], client.infer("iris", {"input": np.array(ROWS, np.float32)}).outputs["label"])
    tables: List[Any] = [
        frame.to_dict("list"),
        frame.to_dict("records"),
        frame.to_numpy(),
        frame.to_numpy(np.float32),
        ROWS,
        {name: np.array(column) for name, column in frame.items()},
    ]
    for table in tables:
        pd.testing.assert_frame_equal(client.predict("iris", table), want.reset_index(drop=True))
    assert client.predict("iris", frame[:0]).shape == (0, 4)


def test_each_input_takes_the_column_of_its_name(client: sluice.Client) -> None:
    want = pd.DataFrame({"age_out": np.array([40.5, 50], np.float32), "visits_out": [1, 2], "name_out": ["é", "b"]})
    frame = pd.DataFrame(PERSON)
    records = frame.to_dict("records")
    for table in (frame, PERSON, records, frame.astype({"visits": float}), frame.astype({"name": "category", "visits": "Int64"})):
        got = client.predict("person", table)
        pd.testing.assert_frame_equal(got[list(want.columns)], want, check_dtype=False)
        assert got["age_out"].dtype == np.float32 and got["visits_out"].dtype == np.int64


def test_columns_are_found_under_the_names_that_exporters_give_them() -> None:
    metadata = {"inputs": [{"name": n, "datatype": "FP32", "shape": [-1, 1]} for n in ("sepal_length__cm_", "_9x")]}
    got = sluice._rows.to_inputs({"9x": [2], "sepal length (cm)": [1]}, metadata)
    assert list(got) == ["sepal_length__cm_", "_9x"]
    with pytest.raises(ValueError, match="another column"):
        sluice._rows.to_inputs({"9x": [2], "_9x": [3], "sepal length (cm)": [1]}, metadata)


def test_missing_numbers_are_nan(client: sluice.Client) -> None:
    for column in ([1.5, None], pd.array([1, None], "Int64"), pd.Series([1.5, None], dtype=object)):
        got = client.predict("echo_FP32", pd.DataFrame({"x": column}))["x_out"]
        assert got.isna().tolist() == [False, True]


def test_columns_of_lists(client: sluice.Client) -> None:
    got = client.predict("word", {"w": [["a", "b"], ["c", "d"]]})
    assert got.to_dict("list") == {"w_out_0": ["a", "c"], "w_out_1": ["b", "d"]}
    got = client.predict("word", pd.DataFrame({"first": ["a"], "second": ["b"]}))
    assert got.to_dict("list") == {"w_out_0": ["a"], "w_out_1": ["b"]}


def test_who_answers_can_be_chosen(client: sluice.Client) -> None:
    one, two = (client.predict("iris", ROWS, version=version, outputs=["probabilities"]) for version in (1, 2))
    assert list(one.columns) == IRIS[1:] and not one.equals(two)
    canary = client.predict("by_header", ROWS, sticky_key="u1", outputs=["probabilities"])
    pd.testing.assert_frame_equal(canary, two)


def test_tables_that_do_not_fit(client: sluice.Client) -> None:
    def refuses(message: str, model: str, table: Any, kind: type = ValueError) -> None:
        with pytest.raises(kind, match=message):
            client.predict(model, table)

    frame = pd.DataFrame(ROWS, columns=NAMES)
    refuses(r"expects 4 columns, but the table has 3", "iris", frame[NAMES[:3]])
    refuses(r"\['name'\] are missing and \['n'\] are not inputs", "person", {"n": ["a"], "age": [1], "visits": [1]})
    refuses(r"\['extra'\] are not inputs", "person", {**PERSON, "extra": [1, 2]})
    refuses(r"column names", "person", ROWS)
    refuses(r"do not have the same length", "person", {**PERSON, "age": [1]})
    refuses(r"record 1 does not have the fields", "person", [{"a": 1}, {"b": 1}])
    refuses(r"same name", "iris", pd.DataFrame(ROWS, columns=["a", "a", "b", "c"]))
    refuses(r"'age': its elements are not numbers", "person", {**PERSON, "age": ["40", "50"]})
    refuses(r"'visits': some elements do not fit the datatype", "person", {**PERSON, "visits": [1, 0.5]})
    refuses(r"not a string", "person", {**PERSON, "name": ["a", 1]}, TypeError)
    refuses(r"not a table", "iris", "text", TypeError)
    with pytest.raises(sluice.SluiceError, match="unexpected shape"):
        client.predict("iris", np.zeros((1, 5)))


def test_without_pandas(client: sluice.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sluice._rows, "pd", None)
    records = [dict(zip(NAMES, row)) for row in ROWS]
    assert client.predict("iris", np.array(ROWS), outputs=["label"]) == {"label": [2, 0]}
    assert client.predict("iris", {n: [r[n] for r in records] for n in NAMES}, outputs=["label"]) == {"label": [2, 0]}
    assert client.predict("iris", records, outputs=["label"]) == [{"label": 2}, {"label": 0}]


def test_metadata_is_read_again_if_the_model_has_changed(gateway: Gateway) -> None:
    asked: List[str] = []
    http = httpx.Client(event_hooks={"request": [lambda r: asked.append(r.method)]})
    client = sluice.Client(gateway.url, http=http)
    client.predict("iris", ROWS)
    client.predict("iris", ROWS)
    assert asked == ["GET", "POST", "POST"]
    del asked[:]
    client._calls.metadata["iris", None] = client.model_metadata("person")
    client.predict("iris", pd.DataFrame(ROWS, columns=NAMES))
    assert asked == ["GET", "GET", "POST"]
    del asked[:]
    client._calls.metadata["iris", None] = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]}
    client.predict("iris", ROWS)
    assert asked == ["POST", "GET", "POST"]
    del asked[:]
    with pytest.raises(sluice.SluiceError, match="unexpected shape"):
        client.predict("iris", [[1.0]])
    assert asked == ["POST", "GET", "POST"]
    http.close()


def test_readme(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text()
    match = re.search(r"```python\n(import pandas.*?)```\n```\n(.*?)```", text, re.S)
    assert match
    names: Dict[str, Any] = {}
    exec(match[1].replace("localhost:8000", gateway.url), names)
    names["client"].close()
    assert capsys.readouterr().out == match[2]
