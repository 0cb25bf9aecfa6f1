"""MLflow's scoring client, which `mlflow models serve` and its tools use for /invocations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import requests
from mlflow.pyfunc.scoring_server import client as scoring

from clients import Client


class MLflow(Client):
    """The client has no options for TLS and keys: a program gives it another URL, and a session of requests that has them."""

    def __init__(self, target):
        super().__init__(target)
        self._client = scoring.ScoringServerClient(*target.http.split(":"))
        self._client.url_prefix = target.url
        self._session = requests.Session()
        self._session.trust_env = False  # it may name another CA
        self._session.headers.update(target.headers)
        if target.ca:
            self._session.verify, self._session.cert = str(target.ca), target.certificate and tuple(map(str, target.certificate))

    def close(self):
        self._session.close()

    def _calls(self):
        scoring.requests = self._session  # several clients share the module
        return self._client

    def ready(self):
        self._calls().wait_server_ready(timeout=30)  # it raises an exception if the server is not ready
        return True

    def invocations_of_frames(self, rows, columns):
        for data in (pd.DataFrame(rows, columns=columns), np.array(rows), rows):
            yield self._calls().invoke(data).get_predictions(predictions_format="ndarray")
