"""A Hugging Face hub without a network, for the tests that read sets of it."""

import sys

import hub_library
import pytest

from dla_jax.data import hub_fetch, hub_sets


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a function that puts a set on a hub without a network; `.calls` are its loads."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hub_fetch, "is_installed", lambda: True)

    def put(parts, names=hub_library.NAMES, **said):
        monkeypatch.setattr(hub_fetch, "fetched", lambda url: (hub_library.answer(**said), None))
        put.calls = []
        monkeypatch.setitem(sys.modules, "datasets", hub_library.fake(parts, names, put.calls))

    def unplug(reason="no answer"):
        monkeypatch.setattr(hub_fetch, "fetched", lambda url: (None, reason))
        monkeypatch.setitem(sys.modules, "datasets", None)

    put.unplug = unplug
    return put


@pytest.fixture
def small(monkeypatch):
    """Let a published set have few examples."""

    def shrink(name, *sizes):
        wanted = hub_sets.SETS[name]
        sizes = dict(zip(wanted.sizes, sizes, strict=True))
        monkeypatch.setitem(hub_sets.SETS, name, wanted._replace(sizes=sizes))
        return hub_sets.SETS[name]

    return shrink
