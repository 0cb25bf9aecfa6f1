"""Captured traffic is read with pandas and DuckDB: from a folder, and from a server of S3."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any, Dict, List

import boto3
import duckdb
import httpx
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from .conftest import ROOT, Gateway, copy, serve

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
CONFIG = "capture: {{rotate_age: 100ms, bucket: {bucket!r}}}\ndefaults: {{instances: 1, capture: {{sample: 100%}}, labels: {{sample: 100%}}}}\ndata_dir: {data!r}\n"


def ask(at: Gateway, requests: int = 5) -> int:
    """Send requests of two rows, wait until all are in files, and return the number of rows."""
    with httpx.Client() as http:
        for i in range(requests):
            body = {"inputs": [{"name": "input", "shape": [2, 4], "datatype": "FP32", "data": ROWS}]}
            http.post(f"http://{at.url}/v2/models/iris/infer", json=body, headers={"X-Request-Id": f"r-{i}"}).raise_for_status()
    wait(at, "rows", 2 * requests)
    return 2 * requests


def wait(at: Gateway, what: str, count: int) -> None:
    """Wait until all are in files."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        captured: List[Dict[str, Any]] = httpx.get(f"http://{at.admin_url}/api/v1/capture", timeout=60).raise_for_status().json()
        if sum(model[what] for model in captured) == count:
            return
        time.sleep(0.05)
    raise AssertionError(captured)


def check(frame: pd.DataFrame, rows: int) -> None:
    """Check the rows of iris, as pandas has them."""
    assert len(frame) == rows and sorted(frame["request_id"].unique()) == [f"r-{i}" for i in range(rows // 2)]
    first = frame[frame["row"] == 0].iloc[0]
    assert [round(float(x), 4) for x in first["in.input"]] == ROWS[0]
    assert first["caller"] == "anonymous" and first["rows"] == 2
    assert str(frame["time"].dtype).startswith("datetime64")


def duck(query: str) -> List[Any]:
    answer = duckdb.sql(query)
    assert answer is not None
    return answer.fetchall()


def test_folder(tmp_path: Path) -> None:
    copy(tmp_path / "models" / "iris", ROOT / "models" / "iris")
    with serve(tmp_path, CONFIG.format(bucket=f"file://{tmp_path}/bucket", data=f"{tmp_path}/data")) as at:
        rows = ask(at)
        check(pd.read_parquet(tmp_path / "bucket" / "model=iris"), rows)
        files = f"{tmp_path}/bucket/model=*/**/*.parquet"
        query = f"select model, count(*), count(distinct request_id) from read_parquet('{files}', hive_partitioning = true) group by model"
        assert duck(query) == [("iris", rows, rows // 2)]
        exported(at, tmp_path, rows)
        labelled(at, tmp_path, rows)


def labelled(at: Gateway, folder: Path, rows: int) -> None:
    """Check that labels can be joined with the rows, by DuckDB and in an export."""
    labels = [{"request_id": "r-1", "row": 1, "label": 0}, {"request_id": "r-2", "label": 1}, {"request_id": "r-1", "row": 1, "label": 2}]
    httpx.post(f"http://{at.url}/v2/models/iris/labels", json={"labels": labels}, timeout=60).raise_for_status()
    wait(at, "labels", len(labels))
    bucket = folder / "bucket"
    truth = f"select request_id, row, arg_max(label, received) as label from read_parquet('{bucket}/labels/model=iris/**/*.parquet') group by all"
    of_both = f"from read_parquet('{bucket}/model=iris/**/*.parquet') left join ({truth}) using (request_id, row)"
    assert duck(f"select count(*), count(label) {of_both}") == [(rows, 2)]
    want = [("r-1", 1, "2"), ("r-2", 0, "1")]
    assert duck(f"select request_id, row, label {of_both} where label is not null order by all") == want
    answer = httpx.get(f"http://{at.admin_url}/api/v1/capture/iris/export?format=parquet&labels=true", timeout=60).raise_for_status()
    frame = pd.read_parquet(io.BytesIO(answer.content)).dropna(subset="label").sort_values("request_id")
    assert list(zip(frame["request_id"], frame["row"], frame["label"])) == want


def exported(at: Gateway, folder: Path, rows: int) -> None:
    """Check the three formats of an export."""
    for form in ("parquet", "jsonl", "csv"):
        answer = httpx.get(f"http://{at.admin_url}/api/v1/capture/iris/export?format={form}", timeout=60).raise_for_status()
        path = folder / f"export.{form}"
        path.write_bytes(answer.content)
        assert duck(f"select count(*) from '{path}' where version is not null") == [(rows,)]
    check(pd.read_parquet(folder / "export.parquet"), rows)
    frame = pd.read_json(folder / "export.jsonl", lines=True)
    check(frame.assign(time=pd.to_datetime(frame["time"])), rows)


def test_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        store = boto3.client("s3", endpoint_url=endpoint)
        store.create_bucket(Bucket="traffic")
        copy(tmp_path / "models" / "iris", ROOT / "models" / "iris")
        bucket = f"s3://traffic?region=us-east-1&endpoint={endpoint}&use_path_style=true"
        with serve(tmp_path, CONFIG.format(bucket=bucket, data=f"{tmp_path}/data"), env=dict(os.environ)) as at:
            rows = ask(at)
            names = [item["Key"] for item in store.list_objects_v2(Bucket="traffic")["Contents"]]
            frames = [pd.read_parquet(io.BytesIO(store.get_object(Bucket="traffic", Key=name)["Body"].read())) for name in names if name.endswith(".parquet")]
            check(pd.concat(frames), rows)
            exported(at, tmp_path, rows)
            deleted(at, rows)
    finally:
        server.stop()


def deleted(at: Gateway, rows: int) -> None:
    """Check that a request can be deleted."""
    answer = httpx.delete(f"http://{at.admin_url}/api/v1/capture/iris", params={"request_id": "r-0"}, timeout=60).raise_for_status().json()
    assert answer["rows"] == 2 and answer["files"] == 1 and answer["skipped"] == 0
    text = httpx.get(f"http://{at.admin_url}/api/v1/capture/iris/export", timeout=60).raise_for_status().text
    assert text.count("\n") == rows - 2 and '"r-0"' not in text
