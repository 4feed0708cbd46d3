"""How a benchmark says where it ran, and where it puts its table."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def machine(*packages: str) -> str:
    """Hardware and versions in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")] or [platform.processor()]
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "flax", *packages))
    return ", ".join([names[0], f"{os.cpu_count()} cores", platform.system(), f"Python {platform.python_version()}", *versions])


def put(section: str, module: str, where: str, table: str) -> None:
    """Puts the table of this command line into its section of docs/benchmarks.md, in place of the one there."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
    text = PAGE.read_text()
    before, after = text.split(begin)[0], text.split(end)[1]
    command = shlex.join(["python", "-m", module, *sys.argv[1:]])
    PAGE.write_text(f"{before}{begin}    {command}\n\n{where}; {datetime.date.today().isoformat()}.\n\n{table}\n\n{end}{after}")
