"""A Hugging Face hub without a network, for the tests that read sets of it."""

import sys

import hub_library
import pytest

from dla_jax.config.connectivity import Answer
from dla_jax.data import hub_ask, hub_fetch, hub_sets


def commit_of(url):
    """Return the commit that is asked for, or that of a branch."""
    asked = url.partition("/revision/")[2].partition("?")[0]
    return asked if hub_sets.is_commit(asked) else hub_library.COMMIT


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a function that puts a set on a hub without a network; `.calls` are its loads."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_ENDPOINT", *hub_ask.OFFLINE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub_fetch, "is_installed", lambda: True)

    def put(parts, names=hub_library.NAMES, **said):
        answer = lambda url: Answer(hub_library.answer(**{"commit": commit_of(url)} | said), None)
        monkeypatch.setattr(hub_ask, "fetched", answer)
        put.calls = []
        monkeypatch.setitem(sys.modules, "datasets", hub_library.fake(parts, names, put.calls))

    def unplug(reason="no answer", status=None, **headers):
        monkeypatch.setattr(hub_ask, "fetched", lambda url: Answer(None, reason, status, headers))
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
