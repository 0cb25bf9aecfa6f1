"""The data sets and their splits: train.py fits on one side, golden.py and the model cards use the other."""

from dataclasses import dataclass

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

SEED = 20240501


@dataclass(frozen=True)
class Split:
    """One data set, split once. Inputs are float32, as the served models take them."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def _split(data, stratify: bool) -> Split:
    x, y = data.data.astype(np.float32), data.target
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.3, random_state=SEED, stratify=y if stratify else None
    )
    return Split(train_x, train_y, test_x, test_y)


def load(name: str) -> Split:
    """Returns the split of a data set that ships inside scikit-learn; nothing is downloaded."""
    match name:
        case "iris":
            return _split(datasets.load_iris(), stratify=True)
        case "breast_cancer":
            return _split(datasets.load_breast_cancer(), stratify=True)
        case "digits":
            return _split(datasets.load_digits(), stratify=True)
        case "diabetes":
            # scaled=False: the measurements in their own units, not scikit-learn's normalised columns.
            return _split(datasets.load_diabetes(scaled=False), stratify=False)
    raise ValueError(f"unknown data set {name!r}")
