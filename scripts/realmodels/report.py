"""Says what was found: one line for each model, a summary, and the same as Markdown."""

import os
import subprocess
from datetime import date
from pathlib import Path

from .check import Finding

HEADER = ["model", "package", "size", "answers", "batched", "may be", "requests / run", "the gateway's reason; ours"]


def row(f: Finding) -> list[str]:
    """What is told of a model."""
    counts = {"right": f.right, "wrong": f.wrong, "refused": f.refused}
    answers = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    firsts = {"first wrong answer": f.first_wrong, "first refusal": f.first_refusal}
    reasons = [f.reason, *(f"{what}: {text}" for what, text in firsts.items() if text), f.unbatchable]
    return [
        f.model.name, f.model.package, f"{f.size / 1e6:.2g} MB", answers if f.served else "not served",
        "yes" if f.batched else "no", "no" if f.unbatchable else "yes",
        f"{f.requests / f.runs:.1f}" if f.runs else "-", "; ".join(dict.fromkeys(r for r in reasons if r)),
    ]


def summary(findings: list[Finding]) -> list[str]:
    served = [f for f in findings if f.served]
    may = [f for f in served if not f.unbatchable]

    def names(chosen: list[Finding]) -> str:
        return ": " + ", ".join(f.model.name for f in chosen) if chosen else ""

    wrong, missed = [f for f in served if f.wrong], [f for f in served if f.missed]
    mistaken, lost = [f for f in served if f.mistaken], [f for f in findings if not f.served]
    return [
        f"{len(served)} of {len(findings)} models served{names(lost)}",
        f"{len(served) - len(wrong)} gave right answers only, {len(wrong)} gave wrong ones{names(wrong)}",
        f"{len(may)} may be batched: {len(may) - len(missed)} are, {len(missed)} are not{names(missed)}",
        f"{len(served) - len(may)} may not be batched: {len(mistaken)} are nevertheless{names(mistaken)}",
    ]


def print_lines(findings: list[Finding]) -> None:
    print()
    for f in findings:
        name, package, size, answers, batched, may, per_run, reasons = row(f)
        batching = f"batched: {batched}, may be: {may}, requests / run: {per_run}"
        print(f"{name} ({package}, {size}): {answers}; {batching}; {reasons}")
    print()
    for line in summary(findings):
        print(line)


def write(path: Path, findings: list[Finding], callers: int, seconds: float) -> None:
    """The findings as a page."""
    lines = [
        "# Real models", "",
        f"Made by `make real-models`, {date.today()}, {os.cpu_count()} cores, commit {commit()}.",
        "Models out of public Python packages, pinned in `scripts/realmodels/models.toml`. Each is called alone, with",
        f"binary data and with JSON; then {callers} callers ask all of them for {seconds:.0f} s.",
        "Every answer is compared with that of ONNX Runtime in Python to the same request alone: floats to 1e-3 of",
        "their value plus 1e-4 unless the table says otherwise, other types exactly.", "",
        "\"May be\" is found in Python, without the gateway: rows of realistic data give the same answers alone and",
        "joined along the first dimension, and every input and output is declared with a first dimension that varies.",
        "If a model may not be batched, the last column ends with why.", "",
        *(f"- {line}" for line in summary(findings)), "",
        table_row(HEADER), table_row(["---"] * len(HEADER)),
        *(table_row(row(f)) for f in findings), "",
    ]
    path.write_text("\n".join(lines))


def table_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    return described.stdout.strip() or "unknown"
