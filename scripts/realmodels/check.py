"""Calls each model alone, then all of them at the same time, and compares every answer."""

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from .gateway import Client, Gateway, decode, encode
from .reference import Case, Reference, difference
from .table import Model

OVERLOADED = (429, 503, 504)
JSON_LIMIT = 200_000  # elements of a request; larger ones are sent as binary data only


@dataclass
class Finding:
    """What was found of one model."""

    model: Model
    size: int  # bytes
    cases: list[Case] = field(default_factory=list)
    right: int = 0
    wrong: int = 0
    refused: int = 0  # because there was too much to do
    first_refusal: str = ""
    first_wrong: str = ""  # what was wrong with the first answer that was
    unbatchable: str = ""  # why its requests may not be joined; empty if they may
    batched: bool = False
    reason: str = ""  # why the gateway batches it or does not
    served: bool = True
    requests: int = 0  # of the phase with all models, and in how many runs
    runs: int = 0

    @property
    def missed(self) -> bool:
        """It may be batched, and is not."""
        return self.served and not self.unbatchable and not self.batched

    @property
    def mistaken(self) -> bool:
        """It is batched, and may not be."""
        return self.batched and bool(self.unbatchable)

    def note(self, problem: str) -> None:
        if not problem:
            self.right += 1
            return
        self.wrong += 1
        self.first_wrong = self.first_wrong or problem


def alone(gateway: Gateway, models: list[Model], repository: Path) -> list[Finding]:
    """Every case of every model in turn, as binary data and as JSON."""
    states = gateway.models()
    findings = []
    for model in models:
        path = repository / model.name / "1" / "model.onnx"
        finding = Finding(model, sum(f.stat().st_size for f in path.parent.iterdir()))
        findings.append(finding)
        if states[model.name]["state"] != "READY":
            finding.served, finding.reason = False, states[model.name].get("reason", "")
            continue
        reference = Reference(model, path)
        finding.cases, finding.unbatchable = reference.cases(), reference.batchable()
        client = gateway.client()
        for case in finding.cases:
            forms = [True, False] if sum(t.size for t in case.inputs.values()) <= JSON_LIMIT else [True]
            for binary in forms:
                try:
                    finding.note(ask(client, model, case, encode(case.inputs, binary)))
                except Refused as refusal:  # nobody else asks now
                    finding.note(str(refusal))
        print(f"{model.name}: {finding.right} right, {finding.wrong} wrong {finding.first_wrong}", flush=True)
    return findings


class Refused(Exception):
    """The gateway has too much to do."""


def ask(client: Client, model: Model, case: Case, request: tuple[bytes, dict[str, str]]) -> str:
    """What is wrong with the answer to a request; empty if nothing is."""
    status, body, header = client.infer(model.name, *request)
    if status != 200:
        problem = f"{case}: status {status}: {body[:300].decode(errors='replace')}"
        if status in OVERLOADED:
            raise Refused(problem)
        return problem
    got = decode(body, header)
    if set(got) != set(case.outputs):
        return f"{case}: outputs {sorted(got)}, want {sorted(case.outputs)}"
    for name, want in case.outputs.items():
        if why := difference(got[name], want, model.rtol, model.atol):
            return f"{case}: output '{name}': {why}"
    return ""


def together(gateway: Gateway, findings: list[Finding], callers: int, seconds: float) -> None:
    """Many callers ask for what is known from the first phase. Half of the calls go to any model, and half to the
    model whose turn it is, so that each has requests that wait side by side."""
    served = [f for f in findings if f.served]
    for f in served:
        f.requests, f.runs = -f.right - f.wrong, -gateway.runs(f.model.name)
    requests = {id(case): encode(case.inputs, True) for f in served for case in f.cases}
    start, lock = time.monotonic(), threading.Lock()

    def caller(seed: int) -> None:
        rng, client = random.Random(seed), gateway.client()
        while (elapsed := time.monotonic() - start) < seconds:
            finding = rng.choice(served) if rng.random() < 0.5 else served[int(elapsed / seconds * len(served))]
            case = rng.choice(finding.cases)
            try:
                problem = ask(client, finding.model, case, requests[id(case)])
            except Refused as refusal:
                with lock:
                    finding.refused += 1
                    finding.first_refusal = finding.first_refusal or str(refusal)
                time.sleep(rng.random())
                continue
            except Exception as error:  # whatever it is, no right answer came
                problem, client = f"{case}: {error!r}", gateway.client()
            with lock:
                finding.note(problem)

    threads = [threading.Thread(target=caller, args=[seed]) for seed in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not gateway.alive():
        raise SystemExit(f"the gateway ended: see {gateway.log}")
    for f in served:
        f.requests += f.right + f.wrong
        f.runs += gateway.runs(f.model.name)


def conclude(gateway: Gateway, findings: list[Finding]) -> None:
    """Notes what the gateway thinks of each model after its traffic."""
    states = gateway.models()
    for f in findings:
        if f.served:
            batching = states[f.model.name]["detail"]["batching"]
            f.batched, f.reason = batching["enabled"], batching["reason"]
