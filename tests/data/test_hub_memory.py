"""A set of the Hugging Face hub is never in memory twice: while it is kept, and when it is read."""

import tracemalloc

import numpy as np
import pytest
from hub_library import COMMIT

from dla_jax.data import hub_folder, hub_rows, hub_sets, labelled

PHOTOS = hub_sets.named("hub:me/photos", columns=("image",), label="label", kind="images", size=4)
TEXTS = hub_sets.named("hub:me/texts", columns=("a", "b"), label="label", kind="texts")


@pytest.fixture
def traced():
    """Trace what Python and NumPy allocate; return the most that was held since, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_images_are_kept_block_by_block(tmp_path, traced):
    shape, many = (256, 32, 32, 3), 40

    def blocks():
        for i in range(many):
            yield np.full(shape, i, np.uint8), np.full(256, i % 7, np.int32)

    whole = many * np.prod(shape)
    names, sizes = tuple("abcdefg"), {"train": 30 * 256, "test": 10 * 256}
    rows = hub_folder.Rows(COMMIT, names, sizes, blocks())
    folder = hub_folder.write(PHOTOS, tmp_path, rows)
    assert traced() < whole / 4
    found = hub_folder.read_images(folder)
    assert found.images.shape == (many * 256, 32, 32, 3) and found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.images[::256, 5, 5, 2], range(many))
    np.testing.assert_array_equal(found.labels[::256], np.arange(many) % 7)
    assert found.labels.dtype == np.int32 and found.test_start == 30 * 256


def test_blocks_are_no_larger_than_they_say(tmp_path, traced, monkeypatch):
    class Part(list):
        features = {"label": None}

        def cast_column(self, *_):
            return self

        def select_columns(self, _):
            return self

        def __getitem__(self, key):
            return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)

    monkeypatch.setattr(hub_rows, "BLOCK", 3)
    monkeypatch.setattr(hub_rows, "decoded", lambda image, size: image)
    monkeypatch.setitem(__import__("sys").modules, "datasets", type("Fake", (), {"Image": dict}))
    rows = [{"image": np.full((4, 4, 3), i, np.uint8), "label": "ab"[i % 2]} for i in range(8)]
    parts = {"train": Part(rows[:7]), "test": Part(rows[7:])}
    found = list(hub_rows.images_of(PHOTOS, parts, ("a", "b"), "data.name"))
    assert [len(images) for images, _ in found] == [3, 3, 1, 1]
    np.testing.assert_array_equal(
        np.concatenate([images for images, _ in found])[:, 0, 0, 0], range(8)
    )
    assert np.concatenate([labels for _, labels in found]).tolist() == [0, 1] * 4


def test_texts_are_read_row_by_row(tmp_path, traced):
    rng, many = np.random.default_rng(0), 4000
    rows = (
        {"a": rng.bytes(300).hex(), "b": f"{i}\n{rng.bytes(300).hex()}", "label": i % 2}
        for i in range(many)
    )
    kept = hub_folder.Rows(COMMIT, ("x", "y"), {"train": many}, rows)
    folder = hub_folder.write(TEXTS, tmp_path, kept)
    data = type("Data", (), {"name": "hub:me/texts", "test_fraction": 0.2, "num_examples": 0})
    data.text_columns, data.label_column = ("a", "b"), "label"
    data.__contains__ = lambda self, key: False
    assert hub_folder.find(hub_sets.of_data(data()), tmp_path) == folder
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    found = labelled.load(data(), tmp_path, download=False)
    whole = sum(map(len, found.texts))
    assert traced() - before < 1.6 * whole
    assert len(found.texts) == many and "\n" not in found.texts[5] and " 5 " in found.texts[5]
