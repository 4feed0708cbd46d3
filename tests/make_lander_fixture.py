"""Write tests/fixtures/lunar_lander.npz: some of what gymnasium's LunarLander does, by Box2D.

python tests/make_lander_fixture.py      # needs requirements-box2d.txt
"""

from pathlib import Path

import numpy as np
from gymnasium.utils.seeding import np_random

from bench import lunar_box2d
from bench.lunar_box2d import Flight

FIXTURE = Path(__file__).parent / "fixtures" / "lunar_lander.npz"
# The fields of a flight that have a row a step, and how they are stored.
ARRAYS = {
    "bodies": np.float32,
    "obs": np.float32,
    "action": np.int8,
    "noise": np.float32,
    "reward": np.float32,
    "wind": np.int16,
}


def joined(flights: dict[str, Flight]) -> dict[str, np.ndarray]:
    """Return flights as arrays, one after another: with {"name", "ended"} of each."""
    parts = {name: [getattr(flight, name) for flight in flights.values()] for name in ARRAYS}
    found = {name: np.concatenate(of_each) for name, of_each in parts.items()}
    found = {name: found[name].astype(kind) for name, kind in ARRAYS.items()}
    ground = np.stack([flight.ground for flight in flights.values()]).astype(np.float32)
    steps = np.array([len(flight.action) for flight in flights.values()])
    ended = np.array([flight.ended for flight in flights.values()])
    return found | {
        "name": np.array(list(flights)),
        "ended": ended,
        "steps": steps,
        "ground": ground,
    }


def resets(box) -> dict[str, np.ndarray]:
    """Return what some seeds' first step leads to, and the force in it, which gymnasium draws."""
    forces, bodies = [], []
    for seed in range(6):
        box.reset(seed=seed)
        forces.append(np_random(seed)[0].uniform(size=14)[12:] * 2000 - 1000)  # after the terrain's
        bodies.append(lunar_box2d.bodies(box))
    return {"reset_force": np.float32(forces), "reset_bodies": np.float32(bodies)}


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
    flights["rest"] = lunar_box2d.part(flight, steps - 35, steps)
    np.savez_compressed(FIXTURE, **joined(flights), **resets(box))


if __name__ == "__main__":
    main()
