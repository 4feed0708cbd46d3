"""Networks of other names, widths and sizes that are judged in pairs."""

import numpy as np
import pytest

from dla_jax.evidence import formatting, stats
from dla_jax.studies.compare.answer import answer
from dla_jax.studies.compare.report import PAIR_HEAD, paired


def network_row(study, group, seed, effect, params=1, data="digits", val=0.5):
    return {
        "study": study,
        "group": group,
        "seed": seed,
        "test_accuracy": 0.5 + effect,
        "val_accuracy": val,
        "num_params": params,
        "data": {"name": data, "fingerprint": data, "num_classes": 10},
    }


def widths():
    """Return runs of two widths in one study, and of a third in another; one on other data."""
    gains = [0.030, 0.041, 0.052, 0.033, 0.044, 0.065, 0.056, 0.037]
    rows = []
    for seed, gain in enumerate(gains):
        rows += [
            network_row("a", "width=16", seed, 0.0, 2000, val=0.5),
            network_row("a", "width=32", seed, gain, 5000, val=0.6),
            network_row("b", "cnn", seed, gain / 2, 9000, val=0.55),
            network_row("b", "other", seed, 0.4, 9, data="mnist", val=0.9),
        ]
    return rows, gains


@pytest.mark.parametrize("which", ["all", "best"])
def test_pairs_of_other_names_widths_and_sizes_are_judged_by_the_rule(which):
    rows, gains = widths()
    found = {row[1]: row for row in paired(rows, which)}
    smaller, across = "width=16", "cnn"
    expected = {"all": {"cnn − width=16", "cnn − width=32", "width=32 − width=16"}}
    expected["best"] = {f"width=32 − {name}" for name in (smaller, across)}
    assert set(found) == expected[which]  # none with the network on other data
    row = found["width=32 − width=16"]
    p = stats.sign_flip_p(gains)
    assert row[0] == "better" and row[2] == "a" and row[3] == "2,000 and 5,000"
    assert float(row[4].split(" ")[0]) == pytest.approx(100 * np.mean(gains), abs=0.051)
    assert row[5:7] == [
        f"p = {formatting.p_value(p)}",
        f"Holm {formatting.p_value(len(found) * p)}",
    ]
    other = found["width=32 − cnn" if which == "best" else "cnn − width=32"]
    assert other[0] == ("better" if which == "best" else "worse")
    assert other[2] == ("a − b" if which == "best" else "b − a")
    assert paired(rows) == [] and paired([], which) == []
    told = answer(
        [], [dict(zip(PAIR_HEAD, each, strict=True)) for each in found.values()], same=False
    )
    assert f"of {len(found)} pairs better in " in told and "width=32 − width=16 (+4.5 [" in told
