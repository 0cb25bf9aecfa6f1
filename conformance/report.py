"""Writes the tables of clients and features in docs/protocol.md from the results of the tests, or checks them.

    report.py write PAGE RESULTS...   # of all clients
    report.py check PAGE RESULTS...   # of some: each must have done what its column says
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from clients import CLIENTS

BEGIN, END = "<!-- clients, from conformance -->\n", "<!-- end -->\n"
SECTIONS = ("Server", "Tensors", "Requests", "Control", "Settings", "Models", "Rows", "Access")
YES, NO, REFUSED = "yes", "–", "refused"
Cells = dict[tuple[str, str, str], str]  # by section, row and client


def read(paths: list[str]) -> list[dict[str, str]]:
    return [json.loads(line) for path in paths for line in Path(path).read_text().splitlines()]


def cells(results: list[dict[str, str]]) -> Cells:
    """Return what each client did in each row. A row that is not one or the other is an error."""
    outcomes: dict[tuple[str, str, str], set[str]] = {}
    for result in results:
        outcomes.setdefault((result["section"], result["row"], result["client"]), set()).add(result["outcome"])
    words = {frozenset({"passed"}): YES, frozenset({"skipped"}): NO, frozenset({"refused"}): REFUSED}
    if mixed := [f"{key}: {sorted(seen)}" for key, seen in outcomes.items() if frozenset(seen) not in words]:
        sys.exit("a row must pass, be refused, or not be offered, whatever the transport and the parameters of its tests:\n" + "\n".join(mixed))
    return {key: words[frozenset(seen)] for key, seen in outcomes.items()} | transports(results)


def transports(results: list[dict[str, str]]) -> Cells:
    """Return the rows that say over which transports all other rows hold: cells made sure that none differs."""
    names = dict.fromkeys(result["transport"] for result in results if result["transport"] not in ("", "plain"))
    clients = {result["client"] for result in results}
    used = {(r["client"], r["transport"]) for r in results if r["outcome"] == "passed"}
    return {("Access", f"everything above, over {name}", client): YES if (client, name) in used else NO for name in names for client in clients}


def tables(found: Cells, results: list[dict[str, str]]) -> str:
    text = ""
    for section in SECTIONS:
        rows = list(dict.fromkeys(row for part, row, _ in found if part == section))
        columns = [name for name in CLIENTS if any(found.get((section, row, name), NO) != NO for row in rows)]
        if not columns:
            continue
        text += f"\n### {section}\n\n| feature | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}\n"
        for row in rows:
            text += f"| {row} | {' | '.join(found.get((section, row, name), NO) for name in columns)} |\n"
        refusals: dict[str, str] = {}  # one text for each row, although clients can make different ones
        for result in results:
            if result["section"] == section and result["outcome"] == REFUSED:
                refusals[result["row"]] = min(refusals.get(result["row"], result["text"]), result["text"])
        if refusals:
            text += "\n" + "".join(f"- {row}: `{said}`\n" for row, said in refusals.items())
    return text + "\n"


def parse(text: str) -> Cells:
    """Return the cells of tables."""
    found: Cells = {}
    section, columns = "", []
    for line in text.splitlines():
        if line.startswith("### "):
            section = line.removeprefix("### ")
        elif line.startswith("| feature |"):
            columns = [cell.strip() for cell in line.split("|")[2:-1]]
        elif line.startswith("| ") and not line.startswith("| ---"):
            row, *row_cells = [cell.strip() for cell in line.split("|")[1:-1]]
            found |= {(section, row, name): cell for name, cell in zip(columns, row_cells, strict=True)}
    return found


def differences(claimed: Cells, found: Cells) -> list[str]:
    """Return where clients did not do what their columns say. A column that is not in a table has no feature of it."""
    clients = {client for _, _, client in found}
    keys = set(found) | {key for key in claimed if key[2] in clients}
    return [
        f"{section}: {row}: {client}: the page says {claimed.get(key, NO)!r}, the tests say {found.get(key, NO)!r}"
        for key in sorted(keys) for section, row, client in [key] if claimed.get(key, NO) != found.get(key, NO)
    ]  # fmt: skip


def main() -> None:
    verb, page, *paths = sys.argv[1:]
    results = read(paths)
    found = cells(results)
    text = Path(page).read_text()
    begin, end = re.escape(BEGIN), re.escape(END)
    match = re.search(f"(?<={begin}).*?(?={end})", text, re.DOTALL)
    if not match:
        sys.exit(f"{page} has no block that begins with {BEGIN!r}")
    if verb == "write":
        if absent := set(CLIENTS) - {client for _, _, client in found}:
            sys.exit(f"no results of {sorted(absent)}: the tables need all clients")
        Path(page).write_text(text[: match.start()] + tables(found, results) + text[match.end() :])
    elif wrong := differences(parse(match[0]), found):
        sys.exit(f"{page} is not what the tests found; `make conformance` writes it:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
