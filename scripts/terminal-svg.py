#!/usr/bin/env python3
"""Runs commands and draws the terminal that shows them: terminal-svg.py OUT.svg TITLE COMMAND...

Needs rich (pip install rich). The images in docs/images come from a gateway that serves the demo.
"""
import re
import subprocess
import sys

from rich.console import Console
from rich.text import Text

out, title, *commands = sys.argv[1:]
console = Console(record=True, width=124, file=open("/dev/null", "w"))
for command in commands:
    console.print(Text("$ ", style="bold green") + Text(command, style="bold"))
    run = subprocess.run(command, shell=True, capture_output=True, text=True)
    for line in (run.stdout + run.stderr).rstrip().splitlines():
        style = "red" if "DETECTED" in line else "yellow" if "SUSPECTED" in line else ""
        console.print(Text(line, style=style), no_wrap=True, crop=True)
    console.print()
svg = console.export_svg(title=title)
svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)  # nothing is fetched from elsewhere
with open(out, "w") as f:
    f.write(svg.replace("font-family: Fira Code", "font-family: ui-monospace").replace("Fira Code", "ui-monospace"))
