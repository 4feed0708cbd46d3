"""The tests of pictures find shapes by their colour."""

import numpy as np

from dla_jax.rl import board


def pixels(picture, colour):
    """Return columns and rows of the pixels of exactly that colour."""
    rows, columns = np.nonzero((np.asarray(picture) == board.rgb(colour)).all(-1))
    assert len(rows), f"nothing is {colour}"
    return columns, rows


def middle(picture, colour):
    columns, rows = pixels(picture, colour)
    return columns.mean(), rows.mean()
