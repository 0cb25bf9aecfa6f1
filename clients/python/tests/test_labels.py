"""Labels, against a real gateway."""

from __future__ import annotations

import asyncio
import datetime
import io
from pathlib import Path
from typing import Any, Dict, Iterator, List

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sluice
import sluice.grpc

from .conftest import ROOT, Gateway, copy, serve

PARQUET = "application/vnd.apache.parquet"
PYARROW: List[Dict[str, Any]] = [
    *({"compression": c, "data_page_version": v} for c in ("none", "snappy", "gzip", "zstd") for v in ("1.0", "2.0")),
    {"use_dictionary": False},
    {"use_dictionary": False, "column_encoding": {"request_id": "DELTA_LENGTH_BYTE_ARRAY", "row": "DELTA_BINARY_PACKED"}},
    {"use_dictionary": False, "column_encoding": {"label": "BYTE_STREAM_SPLIT", "time": "DELTA_BINARY_PACKED"}},
]
SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("labels")
    copy(folder / "models" / "iris", ROOT / "models" / "iris")
    with serve(folder, f"data_dir: {str(folder / 'data')!r}\ndefaults: {{instances: 1, labels: {{sample: 100%}}}}\n") as at:
        yield at


def test_labels_are_joined(keeping: Gateway) -> None:
    with sluice.Client(keeping.url, keeping.admin_url) as client:
        name = client.model_metadata("iris")["inputs"][0]["name"]
        client.infer("iris", {name: np.array([SETOSA, VIRGINICA], np.float32)}, request_id="two")
        now = datetime.datetime.now(datetime.timezone.utc)
        rows = [
            {"request_id": "two", "row": 0, "label": 0},
            {"request_id": "two", "row": 1, "label": np.int64(2), "time": now},
            {"request_id": "three", "label": 1},
        ]
        result = client.labels("iris", rows)
        assert result["results"] == ["joined", "joined", "unknown"] and result["joined"] == 2
        assert client.labels("iris", rows[:1])["results"] == ["duplicate"]
        report = client.label_report("iris")
        stream = report["streams"][0]
        assert stream["labels"] == 2 and stream["metrics"][0]["name"] == "accuracy" and stream["metrics"][0]["value"] == 1


def test_labels_of_data_frames(keeping: Gateway) -> None:
    """What pandas, pyarrow and DuckDB write in their several ways is read."""
    with sluice.Client(keeping.url, keeping.admin_url) as client:
        name = client.model_metadata("iris")["inputs"][0]["name"]
        for i in range(3):
            client.infer("iris", {name: np.array([SETOSA, VIRGINICA], np.float32)}, request_id=f"frame-{i}")
        now = pd.Timestamp.now(tz="UTC")
        frame = pd.DataFrame(
            {
                "request_id": [f"frame-{i // 2}" for i in range(6)] + ["nobody"] * 3000,
                "row": [i % 2 for i in range(6)] + [0] * 3000,
                "label": [0, 2] * 1503,
                "time": [now] * 3006,
            }
        )
        first = client.labels_from("iris", frame.to_parquet(index=False), PARQUET)
        assert first["joined"] == 6 and first["unknown"] == 3000 and first["rows"] == 3006
        table = pa.Table.from_pandas(frame)
        for options in PYARROW:
            sink = io.BytesIO()
            pq.write_table(table, sink, data_page_size=1000, row_group_size=1100, **options)
            result = client.labels_from("iris", sink.getvalue(), PARQUET)
            assert result["duplicate"] == 6 and result["rows"] == 3006, options
        for options in ({"compression": "lz4"}, {"compression": "brotli"}):
            sink = io.BytesIO()
            pq.write_table(table, sink, **options)
            with pytest.raises(sluice.SluiceError, match="expected SNAPPY, GZIP, ZSTD or UNCOMPRESSED") as raised:
                client.labels_from("iris", sink.getvalue(), PARQUET)
            assert raised.value.status == 400


def test_labels_of_duckdb(keeping: Gateway, tmp_path: Path) -> None:
    with sluice.Client(keeping.url) as client:
        for options in ("", ", COMPRESSION zstd", ", PARQUET_VERSION v2, COMPRESSION gzip"):
            file = tmp_path / "labels.parquet"
            query = "SELECT 'nobody-' || (i // 3) AS request_id, (i % 3)::INTEGER AS row, i % 2 = 0 AS label, now() AS time FROM range(5000) t(i)"
            duckdb.sql(f"COPY ({query}) TO '{file}' (FORMAT parquet{options})")
            result = client.labels_from("iris", file.read_bytes(), PARQUET)
            assert result["rows"] == 5000 and result["unknown"] == 5000, options


def test_labels_with_asyncio(keeping: Gateway) -> None:
    async def run() -> None:
        async with sluice.AsyncClient(keeping.url, keeping.admin_url) as client:
            result = await client.labels("iris", [{"request_id": "nobody", "label": 0}])
            assert result["results"] == ["unknown"]
            csv = await client.labels_from("iris", b"request_id,label\nnobody,0\n", "text/csv")
            assert csv["results"] == ["unknown"]
            assert (await client.label_report("iris"))["model"] == "iris"

    asyncio.run(run())


def test_labels_over_grpc(keeping: Gateway) -> None:
    with sluice.grpc.Client(keeping.grpc_url) as client:
        name = client.model_metadata("iris")["inputs"][0]["name"]
        client.infer("iris", {name: np.array([SETOSA, VIRGINICA], np.float32)}, request_id="over-grpc")
        rows: List[Dict[str, Any]] = [
            {"request_id": "over-grpc", "label": np.int64(0), "time": datetime.datetime.now(datetime.timezone.utc)},
            {"request_id": "over-grpc", "row": 1, "label": "2", "time": "2026-11-30T08:00:00Z"},
            {"request_id": "over-grpc", "label": float("nan")},
            {"request_id": "nobody", "label": True},
        ]
        result = client.labels("iris", rows)
        assert result["results"] == ["joined", "joined", "invalid", "unknown"], result
        assert result["model"] == "iris" and result["joined"] == 2 and [p["index"] for p in result["problems"]] == [2]
        with pytest.raises(sluice.SluiceError, match="unknown model") as raised:
            client.labels("absent", rows)
        assert raised.value.status == 404
        with pytest.raises(ValueError, match="time zone"):
            client.labels("iris", [{"request_id": "a", "label": 0, "time": datetime.datetime(2026, 1, 1)}])
        with pytest.raises(TypeError, match="type list"):
            client.labels("iris", [{"request_id": "a", "label": [1]}])

    async def run() -> None:
        async with sluice.grpc.AsyncClient(keeping.grpc_url) as client:
            assert (await client.labels("iris", rows[:2]))["results"] == ["duplicate", "duplicate"]

    asyncio.run(run())


def test_labels_that_cannot_be_sent(keeping: Gateway) -> None:
    with sluice.Client(keeping.url) as client:
        with pytest.raises(ValueError, match="time zone"):
            client.labels("iris", [{"request_id": "a", "label": 0, "time": datetime.datetime(2026, 1, 1)}])
        with pytest.raises(ValueError, match="not JSON compliant"):
            client.labels("iris", [{"request_id": "a", "label": float("nan")}])
        with pytest.raises(TypeError, match="set"):
            client.labels("iris", [{"request_id": "a", "label": set()}])
