"""Converts a table to a model's inputs, and outputs to a table.

A table is a DataFrame, a dict of columns, a list of records, or an array or nested list without column names.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ._tensor import FLOATS, Tensor

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment]
try:
    import pandas as pd
except ImportError:
    pd = None  # type: ignore[assignment]

Metadata = Mapping[str, Any]


def to_inputs(rows: Any, metadata: Metadata) -> Dict[str, Tensor]:
    """Return a table as the inputs in a model's metadata.

    Each input gets the column with its name, or the column from whose name skl2onnx makes the input's name. If a
    model has one input and no column has its name, the input gets all columns in their order as one matrix.
    """
    inputs = list(metadata["inputs"])
    columns = _columns(rows)
    if columns is None:
        if len(inputs) != 1:
            raise ValueError(f"the model has the inputs {_names(inputs)}: expected a table with column names")
        return {inputs[0]["name"]: Tensor(rows, inputs[0]["datatype"])}
    names = [entry["name"] for entry in inputs]
    columns = _by_input(columns, names)
    if len(inputs) == 1 and names[0] not in columns:
        return {names[0]: _matrix(columns, inputs[0])}
    missing, unknown = [n for n in names if n not in columns], [n for n in columns if n not in names]
    if missing or unknown:
        found = " and ".join(
            text for text in (missing and f"{missing} are missing", unknown and f"{unknown} are not inputs") if text
        )
        raise ValueError(f"the model expects one column for each of its inputs {names}: {found}")
    return {entry["name"]: _column(columns[entry["name"]], entry) for entry in inputs}


def from_outputs(outputs: Mapping[str, Any], rows: Any) -> Any:
    """Return outputs as a table with the rows of the request.

    It is a DataFrame. Without pandas it is a list of records if rows is one, otherwise a dict of columns. An output
    with several values for each row becomes the columns "name_0", "name_1" and so on.
    """
    count = _count(rows)
    columns: Dict[str, Any] = {}
    for name, values in outputs.items():
        columns.update(_output_columns(name, values, count))
    if pd is not None:
        return pd.DataFrame(columns, index=rows.index if isinstance(rows, pd.DataFrame) else None)
    if isinstance(rows, list) and rows and isinstance(rows[0], Mapping):
        return [dict(zip(columns, record)) for record in zip(*map(_list, columns.values()))]
    return {name: _list(values) for name, values in columns.items()}


def _exported(column: str) -> str:
    """Return the name of an input that skl2onnx makes from a column's name."""
    name = re.sub(r"[^\w+]", "_", column)
    return "_" + name if re.match("[0-9]", name) else name


def _by_input(columns: Dict[str, Any], names: List[str]) -> Dict[str, Any]:
    """Return columns by the names of their inputs; a column that is not an input keeps its name."""
    found: Dict[str, Any] = {}
    for column, values in columns.items():
        name = _exported(column) if column not in names and _exported(column) in names else column
        if name in found:
            raise ValueError(f"the column {column!r} is the input {name!r}, but another column is the same input")
        found[name] = values
    return found


def _columns(rows: Any) -> Optional[Dict[str, Any]]:
    """Return a table's columns by name; None if they have no names."""
    if pd is not None and isinstance(rows, pd.DataFrame):
        if not rows.columns.is_unique:
            raise ValueError("the table has two columns with the same name")
        return {str(name): rows[name] for name in rows.columns}
    if isinstance(rows, Mapping):
        columns = {str(name): values for name, values in rows.items()}
        if len({len(values) for values in columns.values()}) > 1:
            raise ValueError("the columns do not have the same length")
        return columns
    if isinstance(rows, (list, tuple)) and rows and isinstance(rows[0], Mapping):
        for i, record in enumerate(rows):
            if not isinstance(record, Mapping) or record.keys() != rows[0].keys():
                raise ValueError(f"record {i} does not have the fields of record 0: {list(rows[0])}")
        return {str(name): [record[name] for record in rows] for name in rows[0]}
    if isinstance(rows, (list, tuple)) or (np is not None and isinstance(rows, np.ndarray)):
        return None
    raise TypeError(f"a {type(rows).__name__} is not a table: expected a DataFrame, a dict of columns, a list of records or an array")


def _matrix(columns: Dict[str, Any], entry: Mapping[str, Any]) -> Tensor:
    """Return all columns as one input of rows and columns."""
    shape, name, datatype = list(entry["shape"]), entry["name"], str(entry["datatype"])
    if len(shape) != 2 or shape[1] not in (-1, len(columns)):
        takes = f"{shape[1]} columns" if len(shape) == 2 else f"the input {name!r} of shape {shape}"
        raise ValueError(f"the model expects {takes}, but the table has {len(columns)}: {list(columns)}")
    values = [_values(column, datatype) for column in columns.values()]
    if np is not None:
        return Tensor(np.stack([np.asarray(v) for v in values], axis=1), datatype)
    return Tensor([list(row) for row in zip(*values)], datatype, [len(values[0]), len(values)])


def _column(column: Any, entry: Mapping[str, Any]) -> Tensor:
    """Return a column as one input. Its rows are single values or lists."""
    values, shape, datatype = _values(column, str(entry["datatype"])), list(entry["shape"]), str(entry["datatype"])
    if np is not None and not isinstance(values, list) and values.dtype == object:
        values = list(values)  # the rows may be arrays
    if shape[1:] == [1]:
        return Tensor(values, datatype, [len(values), 1])
    return Tensor(values, datatype)


def _values(column: Any, datatype: str) -> Any:
    """Return the values of a column as a list or an array."""
    if pd is not None and isinstance(column, pd.Series):
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object)
        if datatype in FLOATS and not isinstance(column.dtype, np.dtype):  # NA is a missing value like None
            return [None if missing else value for value, missing in zip(column, column.isna())]
        return column.to_numpy()
    return column if np is not None and isinstance(column, np.ndarray) else list(column)


def _count(rows: Any) -> int:
    if pd is not None and isinstance(rows, pd.DataFrame):
        return len(rows)
    if isinstance(rows, Mapping):
        return len(next(iter(rows.values()), ()))
    return len(rows)


def _output_columns(name: str, values: Any, count: int) -> List[Tuple[str, Any]]:
    if not hasattr(values, "__len__") or getattr(values, "shape", (0,)) == () or len(values) != count:
        raise ValueError(f"the output {name!r} does not have a value for each of {count} rows: use infer, which returns outputs of any shape")
    if np is not None:
        if values.ndim == 1 or values.shape[1:] == (1,):
            return [(name, _text(values.ravel()))]
        if values.ndim == 2:
            return [(f"{name}_{i}", _text(values[:, i])) for i in range(values.shape[1])]
        return [(name, list(values))]
    if count == 0 or not isinstance(values[0], list):
        return [(name, _text(values))]
    if isinstance(values[0][0], list):
        return [(name, values)]
    columns = [_text(list(column)) for column in zip(*values)]
    return [(name, columns[0])] if len(columns) == 1 else [(f"{name}_{i}", column) for i, column in enumerate(columns)]


def _text(values: Any) -> Any:
    """Return strings as text; strings that are not UTF-8 stay bytes."""
    if not len(values) or not isinstance(values[0], bytes):
        return values
    texts = []
    for value in values:
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            texts.append(value)
    if np is None:
        return texts
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def _list(values: Any) -> List[Any]:
    return values if isinstance(values, list) else list(values.tolist())


def _names(inputs: List[Mapping[str, Any]]) -> List[str]:
    return [entry["name"] for entry in inputs]
