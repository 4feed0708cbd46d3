"""Write tests/fixtures/lunar_lander.json: some of what gymnasium's LunarLander does, by Box2D.

python tests/make_lander_fixture.py      # needs requirements-box2d.txt
"""

import json
from pathlib import Path

import numpy as np
from gymnasium.utils.seeding import np_random

from bench import lunar_box2d
from bench.lunar_box2d import Flight

FIXTURE = Path(__file__).parent / "fixtures" / "lunar_lander.json"
DIGITS = 8  # a float32 and its neighbours differ in these


def short(values: np.ndarray):
    """Return an array as lists of numbers with so many digits."""
    if values.dtype.kind == "i":
        return values.tolist()
    if values.ndim:
        return [short(row) for row in values]
    return float(f"{float(values):.{DIGITS}g}")


def plain(flight: Flight) -> dict:
    """Return a flight as JSON has it."""
    found = {
        name: short(np.asarray(values))
        for name, values in flight._asdict().items()
        if name != "ended"
    }
    return found | {"ended": flight.ended}


def resets(box) -> list[dict]:
    """Return what some seeds' first step leads to, and the force in it, which gymnasium draws."""
    found = []
    for seed in range(6):
        box.reset(seed=seed)
        force = np_random(seed)[0].uniform(size=14)[12:] * 2000 - 1000  # after the terrain's 12
        found.append({"force": short(force), "bodies": short(lunar_box2d.bodies(box))})
    return found


def main() -> None:
    """Fly, keep some stretches, and write them."""
    box, rng = lunar_box2d.world(), np.random.default_rng(0)
    flights = {}
    for seed in range(3):  # in the air, with all four actions
        flight = lunar_box2d.fly(box, lambda obs: int(rng.integers(4)), seed)
        flights[f"air {seed}"] = lunar_box2d.part(flight, 20, 28)
    flights["crash"] = lunar_box2d.part(flight, len(flight.action) - 5, len(flight.action))
    flight = lunar_box2d.fly(box, lunar_box2d.heuristic_of_numpy, 11)
    assert flight.ended == "landed"
    touch, steps = int(np.flatnonzero(flight.obs[:, 6:].any(1))[0]), len(flight.action)
    flights["touch"] = lunar_box2d.part(flight, touch - 2, touch + 10)
    flights["rest"] = lunar_box2d.part(flight, steps - 40, steps)
    found = {"flights": {name: plain(flight) for name, flight in flights.items()}}
    text = json.dumps(found | {"resets": resets(box)}, separators=(",", ":"))
    FIXTURE.write_text(text.replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
