"""The command `dla-jax` of an installed package: `python launch.py` by a name of its own."""

import runpy
import sys

from dla_jax.config.project import ROOT


def main() -> None:
    """Do what `python launch.py` does, with the same flags and exit codes."""
    sys.path.insert(0, str(ROOT))  # as it is for a script that lies there
    runpy.run_module("launch", run_name="__main__")
