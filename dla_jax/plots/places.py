"""Policies where they were trained and where they are judged, from plain arrays.

What draws the figure returns what it shows, in words.
"""

from pathlib import Path

import numpy as np

from dla_jax.evidence.formatting import count, number
from dla_jax.plots import words
from dla_jax.plots.style import COLOURS, MARKERS, PAGE, STYLE, plt, save


def two_places(arms: dict[str, dict], names: tuple[str, str], path: Path) -> str:
    """Draw the return of each run's best policy there against that here, and the diagonal.

    Args:
      arms: {name: {"here", "there": float [runs]}}.
      names: of the environments, where policies were trained and where they are judged.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE * 0.7, PAGE * 0.5))
        for i, (name, found) in enumerate(arms.items()):
            look = {"marker": MARKERS[i % 7], "color": COLOURS[i % 7], "alpha": 0.75}
            axis.plot(found["here"], found["there"], linestyle="", label=name, **look)
        # both axes alike, so that the diagonal is one
        values = np.concatenate([found[side] for found in arms.values() for side in found])
        room = 0.05 * max(np.ptp(values), 1.0)
        ends = values.min() - room, values.max() + room
        axis.plot(ends, ends, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)))
        axis.set(xlim=ends, ylim=ends, aspect="equal")
        axis.set_xlabel(f"return on {names[0]}, where it was trained")
        axis.set_ylabel(f"return on gymnasium's {names[1]}")
        if len(arms) > 1:
            axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, path)
    told = [
        f"{name} {number(np.mean(found['here']), 1)} and {number(np.mean(found['there']), 1)}"
        for name, found in arms.items()
    ]
    means = f"Mean returns on {names[0]} and on {names[1]}: {words.listed(told, '; ')}."
    return f"{means} {below_words(arms)}"


def below_words(arms: dict[str, dict]) -> str:
    """Return how many runs lie below the diagonal; `arms` as of `two_places`."""
    below = sum(int(np.less(found["there"], found["here"]).sum()) for found in arms.values())
    runs = sum(len(found["here"]) for found in arms.values())
    return f"Below the diagonal: {below} of {count(runs, 'run')}."
