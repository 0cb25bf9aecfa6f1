"""MLflow's scoring client, which `mlflow models serve` and its tools use for /invocations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from clients import Client, NotOffered


class MLflow(Client):
    def __init__(self, target):
        super().__init__(target)
        if target.ca or target.headers:
            raise NotOffered("TLS and keys")
        self._client = ScoringServerClient(*target.http.split(":"))

    def ready(self):
        self._client.wait_server_ready(timeout=30)  # it raises an exception if the server is not ready
        return True

    def invocations_of_frames(self, rows, columns):
        for data in (pd.DataFrame(rows, columns=columns), np.array(rows), rows):
            yield self._client.invoke(data).get_predictions(predictions_format="ndarray")
