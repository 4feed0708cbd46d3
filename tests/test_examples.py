"""The examples of docs/examples run, and do what they say."""

import runpy

from launching import ROOT

EXAMPLES = ROOT / "docs" / "examples"


def test_a_network_of_ones_own_learns_data_of_ones_own(capsys):
    found = runpy.run_path(str(EXAMPLES / "own_data.py"))
    assert found["accuracy"] > 0.93  # a line between the moons: 87 %
    assert f"test accuracy {found['accuracy']:.1%}" in capsys.readouterr().out
    losses = [row["val_loss"] for row in found["rows"] if "val_loss" in row]
    assert found["evaluate"](found["state"])["val_loss"] == min(losses)


def test_it_is_short():
    lines = (EXAMPLES / "own_data.py").read_text().split('"""')[2].splitlines()
    assert len([line for line in lines if line.strip()]) < 25
