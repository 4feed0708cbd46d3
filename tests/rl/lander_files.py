"""What tests/make_lander_fixture.py stored of gymnasium's LunarLander."""

import numpy as np
from launching import ROOT

from bench.lunar_box2d import Flight

FIXTURE = ROOT / "tests" / "fixtures" / "lunar_lander.npz"


def stored() -> tuple[dict[str, Flight], list[dict]]:
    """Return ({name: stretch of a flight}, resets: each a "force" and the "bodies" it leads to)."""
    with np.load(FIXTURE) as file:
        found = dict(file)
    ends = np.cumsum(found["steps"])
    between = ends[:-1], ends[:-1] + np.arange(1, len(ends))  # fields of n and of n + 1 rows
    cut = {
        name: np.split(found[name], between[0]) for name in ("action", "noise", "reward", "wind")
    }
    cut |= {name: np.split(found[name], between[1]) for name in ("bodies", "obs")}
    cut |= {"ground": found["ground"], "ended": map(str, found["ended"])}
    rows = zip(*(cut[name] for name in Flight._fields), strict=True)
    flights = {str(name): Flight(*row) for name, row in zip(found["name"], rows, strict=True)}
    both = zip(found["reset_force"], found["reset_bodies"], strict=True)
    return flights, [{"force": force, "bodies": bodies} for force, bodies in both]
