"""Runs Evidently and NannyML on some columns, and writes the columns and their numbers.

    python -m venv venv && venv/bin/pip install evidently==0.7.23 nannyml==0.13.1 statsmodels plotly kaleido 'pandas<3' 'numpy<2.3'
    venv/bin/python make.py
"""
import gzip
import json
import os
import pathlib
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import (jensenshannon_stat_test, ks_stat_test, psi_stat_test,
                                                     wasserstein_stat_test)
from evidently.legacy.core import ColumnType
from nannyml.drift.univariate.methods import FeatureType, MethodFactory
from nannyml.thresholds import ConstantThreshold

warnings.filterwarnings("ignore")
rng = np.random.default_rng(7)


def evidently(a, b, kind):
    tests = [psi_stat_test, jensenshannon_stat_test] + ([wasserstein_stat_test, ks_stat_test] if kind == ColumnType.Numerical else [])
    values = {}
    for test in tests:
        r = test(a, b, kind, test.default_threshold)
        values[test.name] = {"value": float(r.drift_score), "drift": bool(r.drifted)}
    return values


def nannyml(a, b, kind):
    keys = ["jensen_shannon"] + (["kolmogorov_smirnov", "wasserstein"] if kind == FeatureType.CONTINUOUS else [])
    values = {}
    for key in keys:
        m = MethodFactory.create(key=key, feature_type=kind, chunker=None, threshold=ConstantThreshold(0, 1))
        m._fit(a)
        values[key] = {"value": float(m._calculate(b))}
    return values


def number(name, a, b):
    a, b = pd.Series(a), pd.Series(b)
    return {"name": name, "integers": a.dtype.kind == "i" and b.dtype.kind == "i", "reference": a.tolist(), "current": b.tolist(),
            "evidently": evidently(a, b, ColumnType.Numerical), "nannyml": nannyml(a, b, FeatureType.CONTINUOUS)}


def text(name, a, b):
    a, b = pd.Series(a), pd.Series(b)
    return {"name": name, "reference_texts": a.tolist(), "current_texts": b.tolist(),
            "evidently": evidently(a, b, ColumnType.Categorical), "nannyml": nannyml(a, b, FeatureType.CATEGORICAL)}


def short(x, digits=4):
    return np.round(x, digits)


cases = [
    number("normal, 300 rows", short(rng.normal(size=300)), short(rng.normal(0.3, 1, size=250))),
    number("the same law", short(rng.normal(size=700)), short(rng.normal(size=900))),
    number("equal sizes", short(rng.normal(size=400)), short(rng.normal(0.1, 1.2, size=400))),
    number("skewed", short(rng.lognormal(0, 1, size=2000)), short(rng.lognormal(0.1, 1.1, size=1000))),
    number("outside the range", short(rng.uniform(size=500)), short(rng.uniform(-0.5, 1.7, size=400))),
    number("integers", rng.integers(0, 40, size=800), rng.integers(0, 45, size=500)),
    number("few values", rng.integers(0, 6, size=600), rng.integers(0, 7, size=600)),
    number("wide integers", rng.integers(0, 100_000, size=300), rng.integers(0, 120_000, size=300)),
    number("an empty value", rng.integers(0, 5, size=600), rng.integers(0, 3, size=100)),
    number("12,000 rows", short(rng.normal(size=12_000), 2), short(rng.normal(0.05, 1.1, size=3000), 2)),
    number("12,000 rows of the same law", short(rng.normal(size=12_000), 2), short(rng.normal(size=50), 2)),
    number("two large tables", short(rng.normal(size=10_500), 2), short(rng.normal(0.01, 1, size=11_000), 2)),
    text("words", rng.choice(["a", "b", "c", "d"], size=500, p=[0.5, 0.3, 0.15, 0.05]), rng.choice(["a", "b", "c", "e"], size=300, p=[0.4, 0.4, 0.1, 0.1])),
    text("a lost word", rng.choice(["a", "b", "c"], size=30_000, p=[0.5, 0.49997, 0.00003]), rng.choice(["a", "b"], size=200)),
]
with gzip.GzipFile(pathlib.Path(__file__).parent / "golden.json.gz", "w", mtime=0) as f:
    f.write(json.dumps(cases, separators=(",", ":")).encode())
for c in cases:
    print(c["name"], {k: round(v["value"], 5) for k, v in c["evidently"].items()}, {k: round(v["value"], 5) for k, v in c["nannyml"].items()})
