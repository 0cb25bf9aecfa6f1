#!/usr/bin/env python3
"""Sends traffic to the demo models, so that a dashboard has values.

Many users send requests to iris. Its route splits them over a stable version and a
canary. digits gets a few requests, and a few requests are mistakes. The model diabetes
gets rows of its data: in turn unchanged, and with a higher body mass index, which the
gateway detects as drift.

    traffic.py [--url http://127.0.0.1:8000] [--rows diabetes.csv] [--rate 40] [--phase 180] [--seconds 0]

Needs only the standard library. Stops at an interrupt, or after --seconds.
"""

import argparse
import http.client
import itertools
import json
import random
import signal
import sys
import time
import urllib.parse

SHIFTED = "bmi"
SHIFT = 4.0
# Typical flowers of the three species: sepal length and width, petal length and width.
FLOWERS = ((5.0, 3.4, 1.5, 0.2), (5.9, 2.8, 4.3, 1.3), (6.6, 3.0, 5.6, 2.0))


class Gateway:
    """One connection, which is opened again if it is closed."""

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.connection = None

    def infer(self, model, values, user=None):
        """Sends a row and returns the status, or 0 if the gateway does not answer."""
        body = json.dumps({"inputs": [{"name": "input", "shape": [1, len(values)], "datatype": "FP32", "data": values}]})
        headers = {"Content-Type": "application/json"}
        if user is not None:
            headers["X-User-Id"] = user
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=10)
            self.connection.request("POST", f"/v2/models/{model}/infer", body, headers)
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return 0


def table(path):
    """Returns the names and rows of a CSV file of numbers."""
    with open(path, encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        return names, [[float(x) for x in line.split(",")] for line in file if line.strip()]


def requests(rows, names, phase, now):
    """Yields a model, a row for it and a user, without an end."""
    moved = names.index(SHIFTED)
    began = now()
    for n, row in enumerate(itertools.cycle(rows)):
        flower = [round(random.gauss(x, 0.25), 1) for x in random.choice(FLOWERS)]
        yield "iris", flower, f"u{random.randrange(2000)}"
        row = list(row)
        if int((now() - began) / phase) % 2 == 1:
            row[moved] += SHIFT
        yield "diabetes", row, None
        if n % 10 == 0:
            yield "digits", [float(random.randrange(17)) for _ in range(64)], None
        if n % 50 == 0:
            yield "iris", flower[:3], None  # a mistake: iris needs four numbers


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:8000", help="the data port of the gateway")
    arguments.add_argument("--rows", default="testdata/drift/diabetes.csv", help="a CSV file of rows for diabetes")
    arguments.add_argument("--rate", type=float, default=40, help="requests a second")
    arguments.add_argument("--phase", type=float, default=180, help="seconds until the data drifts, and until it no longer does")
    arguments.add_argument("--seconds", type=float, default=0, help="when to end; 0: never")
    o = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    gateway, end = Gateway(o.url), time.monotonic() + o.seconds
    names, rows = table(o.rows)
    statuses = {}
    for model, values, user in requests(rows, names, o.phase, time.monotonic):
        if o.seconds and time.monotonic() > end:
            break
        status = gateway.infer(model, values, user)
        statuses[status] = statuses.get(status, 0) + 1
        time.sleep(1 if status == 0 else random.expovariate(o.rate))
    print(json.dumps({str(status): n for status, n in sorted(statuses.items())}))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
