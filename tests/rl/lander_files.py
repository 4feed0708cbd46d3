"""What tests/make_lander_fixture.py stored of gymnasium's LunarLander."""

import json

import numpy as np
from launching import ROOT

from bench.lunar_box2d import Flight

FIXTURE = ROOT / "tests" / "fixtures" / "lunar_lander.json"


def stored() -> tuple[dict[str, Flight], list[dict]]:
    """Return ({name: stretch of a flight}, resets: each a "force" and the "bodies" it leads to)."""
    found = json.loads(FIXTURE.read_text())
    flights = {}
    for name, fields in found["flights"].items():
        arrays = {key: np.array(value) for key, value in fields.items() if key != "ended"}
        flights[name] = Flight(**arrays, ended=fields["ended"])
    return flights, found["resets"]
