#!/usr/bin/env python3
"""Serves the examples with bin/gateway, runs the call.py of each, and compares what it prints with its README.md.

    make build
    pip install -e 'clients/python[pandas]' pillow
    scripts/examples-check.py
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sluice

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def start(log: Path) -> subprocess.Popen:
    """Starts a gateway on ports of its own, which it writes to a log."""
    flags = ["--http-address", "127.0.0.1:0", "--grpc-address", "none", "--admin-address", "127.0.0.1:0"]
    command = [ROOT / "bin" / "gateway", "serve", "--model-repository", EXAMPLES, *flags]
    with log.open("w") as stderr:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)


def ready(gateway: subprocess.Popen, log: Path) -> str:
    """Waits until the gateway is ready, and returns its address."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and gateway.poll() is None:
        if found := re.search(r'"msg":"listening","http":"([^"]+)"', log.read_text()):
            with sluice.Client(found[1]) as client:
                if client.ready():
                    return found[1]
        time.sleep(0.05)
    raise SystemExit(f"the gateway has not become ready: {log.read_text()}")


def check(folder: Path, address: str) -> bool:
    """Runs the call.py of an example in its folder, and reports whether its README.md shows what it prints."""
    environment = {**os.environ, "SLUICE_DATA": address, "PYTHONDONTWRITEBYTECODE": "1"}
    call = subprocess.run([sys.executable, "call.py"], cwd=folder, env=environment, capture_output=True, text=True)
    shown = f"```\n{call.stdout}```\n" in (folder / "README.md").read_text()
    good = call.returncode == 0 and shown
    print(f"{folder.name}: {'ok' if good else 'its README.md does not show this'}")
    if not good:
        print(call.stdout + call.stderr)
    return good


def main() -> int:
    folders = sorted(path.parent for path in EXAMPLES.glob("*/call.py"))
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        gateway = start(log)
        try:
            address = ready(gateway, log)
            failed = [folder.name for folder in folders if not check(folder, address)]
        finally:
            gateway.terminate()
            gateway.wait(60)
    print(f"{len(folders) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not folders else 0


if __name__ == "__main__":
    sys.exit(main())
