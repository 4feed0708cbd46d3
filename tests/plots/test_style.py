"""Figures are drawn without a screen, and beside those of a notebook."""

import subprocess
import sys

import pytest
from launching import ROOT, environment

CODE = """
import pathlib, matplotlib.pyplot as plt
from dla_jax.plots import style
figure = plt.figure()
with plt.rc_context(style.STYLE):
    style.save(plt.figure(), pathlib.Path("own.png"))
print(plt.get_backend().lower(), plt.get_fignums() == [figure.number])
"""


@pytest.mark.parametrize(("asked", "found"), [("", "agg"), ("tkagg", "agg"), ("inline", "inline")])
def test_the_backend_of_a_notebook_stays_and_its_figures_with_it(asked, found, tmp_path):
    """The package that brings a notebook's backend need not be here: one of its name is made."""
    (tmp_path / "drawn.py").write_text("from matplotlib.backends.backend_agg import *\n")
    made = tmp_path / "drawn-1.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: drawn\nVersion: 1\n")
    (made / "entry_points.txt").write_text("[matplotlib.backend]\ninline = drawn\n")
    answer = subprocess.run(
        (sys.executable, "-c", CODE),
        cwd=tmp_path,
        env=environment(PYTHONPATH=f"{tmp_path}:{ROOT}", MPLBACKEND=asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.split() == [found, "True"], answer.stderr
    assert (tmp_path / "own.png").is_file()
