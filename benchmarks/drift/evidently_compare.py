"""Judges the streams of benchmarks/drift by Evidently's defaults, one window at a time.

    python evidently_compare.py STREAMS

STREAMS.json and STREAMS.f32 are written by the Go program, which reads the lines of
JSON that this one prints. A report of all of Evidently takes seconds per window, most of
them for its pictures; so each column is judged by the test that Evidently itself picks
for it, with its default limit, and some windows by a whole report too, to see that the
two agree.
"""

import json
import multiprocessing
import os
import sys
import time
import warnings
from collections import Counter

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")  # before Evidently, whose imports warn

from evidently import Report  # noqa: E402
from evidently import __version__ as version  # noqa: E402
from evidently.legacy.calculations.stattests.registry import get_stattest  # noqa: E402
from evidently.legacy.core import ColumnType  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

METHOD = "Evidently's defaults"
REFERENCES = (5000, 500)
WINDOWS = (250, 500, 1000)


class Streams:
    """The file of streams, which all processes share."""

    def __init__(self, name):
        with open(name + ".json", encoding="utf-8") as file:
            self.header = json.load(file)
        h = self.header
        self.sizes = (
            (h["features"], h["reference_rows"]),
            (h["features"], h["clean_rows"]),
            (len(h["changes"]), h["changed_rows"]),
        )
        self.values = np.memmap(name + ".f32", dtype="<f4", mode="r")
        assert len(self.values) == h["streams"] * self.length()

    def length(self):
        return sum(columns * rows for columns, rows in self.sizes)

    def stream(self, number):
        """Returns columns of the reference, clean ones, and changed ones."""
        at = number * self.length()
        parts = []
        for columns, rows in self.sizes:
            part = self.values[at : at + columns * rows].reshape(columns, rows)
            parts.append([pd.Series(column.astype(np.float64)) for column in part])
            at += columns * rows
        return parts


def judge_column(test, reference, window):
    return test(reference, window, ColumnType.Numerical, None)


def judge_stream(streams, number):
    """Returns what is said of one stream, by sizes of reference and window."""
    full, clean, changed = streams.stream(number)
    results = {}
    for rows in REFERENCES:
        reference = [column[:rows] for column in full]
        test = get_stattest(reference[0], clean[0], ColumnType.Numerical, None)
        for size in WINDOWS:
            windows = alarms = feature_alarms = dataset_alarms = 0
            for start in range(0, len(clean[0]), size):
                drifted = sum(
                    bool(judge_column(test, reference[i], column[start : start + size]).drifted)
                    for i, column in enumerate(clean)
                )
                windows += 1
                alarms += drifted > 0
                feature_alarms += drifted
                dataset_alarms += drifted >= 0.5 * len(clean)
            after = [delay(test, reference[0], column, size) for column in changed]
            results[rows, size] = (windows, alarms, feature_alarms, dataset_alarms, after, test.display_name)
    return results


def delay(test, reference, column, size):
    """Returns the rows until a column alarms, None where it never does."""
    for start in range(0, len(column), size):
        if judge_column(test, reference, column[start : start + size]).drifted:
            return start + size
    return None


def check_reports(streams):
    """Compares some whole reports with judge_column; returns their seconds per window."""
    full, clean, _ = streams.stream(0)
    seconds = []
    for rows in REFERENCES:
        reference = pd.DataFrame({f"f{i}": column[:rows] for i, column in enumerate(full)})
        window = pd.DataFrame({f"f{i}": column[:500] for i, column in enumerate(clean)})
        began = time.perf_counter()
        metrics = Report([DataDriftPreset()]).run(window, reference).dict()["metrics"]
        seconds.append(time.perf_counter() - began)
        checked = 0
        for metric in metrics:
            config = metric["config"]
            if config["type"] != "evidently:metric_v2:ValueDrift":
                continue
            column = config["column"]
            test = get_stattest(reference[column], window[column], ColumnType.Numerical, None)
            result = judge_column(test, reference[column], window[column])
            if config["method"] != test.display_name or config["threshold"] != result.actual_threshold:
                raise SystemExit(f"a report judges {column} by {config}, and here it is {test.display_name}")
            if abs(metric["value"] - result.drift_score) > 1e-9:
                raise SystemExit(f"a report says {metric['value']} of {column}, and here it is {result.drift_score}")
            checked += 1
        if checked != len(full):
            raise SystemExit(f"a report judges {checked} columns of {len(full)}")
    return sorted(seconds)[0]


def worker(arguments):
    name, number = arguments
    return judge_stream(Streams(name), number)


def main():
    name = sys.argv[1]
    streams = Streams(name)
    seconds = check_reports(streams)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        results = pool.map(worker, [(name, i) for i in range(streams.header["streams"])], chunksize=4)
    add("evidently", {"version": version}, {"report_seconds": round(seconds, 2)})
    for rows in REFERENCES:
        for size in WINDOWS:
            report(streams.header["changes"], rows, size, [r[rows, size] for r in results])


def add(scenario, params, figures):
    print(json.dumps({"scenario": scenario, "params": params, "figures": figures}))


def report(changes, rows, size, of):
    common = {"method": METHOD, "test": of[0][5], "reference_rows": str(rows), "window_rows": str(size)}
    keys = ("windows", "alarms", "feature_alarms", "dataset_alarms")
    add("clean", common, {key: int(sum(r[i] for r in of)) for i, key in enumerate(keys)})
    for i, change in enumerate(changes):
        after = Counter(r[4][i] for r in of)
        missed = after.pop(None, 0)
        add("delay", {**common, "change": change}, {"missed": missed, **{f"after_{n}": count for n, count in after.items()}})


if __name__ == "__main__":
    main()
