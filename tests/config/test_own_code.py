"""The code that a thing of one's own is made with is told apart, file by file."""

import hashlib
import importlib
import sys

import pytest

from dla_jax.config import own_code

TOP = """
import json
import os.path
import numpy as np
import flax.linen as nn
import dla_jax.config.checks
import beside
from deep.inside import thing
import absent_when_installed
"""
THIRD = "from .. import third\n"
FILES = {
    "mine.py": TOP.replace("import absent_when_installed\n", "") + "class Net(beside.Base): pass\n",
    "beside.py": "class Base:\n    def late(self):\n        import later, none_of_that_name\n",
    "later.py": "import mine  # in a circle\n",
    "unused.py": "",
    "deep/__init__.py": "from . import inside\n",
    "deep/inside/__init__.py": "from .thing import x\nfrom ..other import y\n" + THIRD,
    "deep/inside/thing.py": "x = 1\n",
    "deep/other.py": "y = 1\n",
    "deep/third.py": "",
    "deep/unused.py": "1 / 0\n",
    "lib/site-packages/installed.py": "",
    "lib/site-packages/library.py": "",
}
USED = ["beside.py", "deep/__init__.py", "deep/inside/__init__.py", "deep/inside/thing.py"]
USED += ["deep/other.py", "deep/third.py", "later.py"]


@pytest.fixture
def codes(tmp_path, monkeypatch):
    """Return a function that writes files and gives the fingerprints of `mine:Net`."""
    monkeypatch.syspath_prepend(tmp_path / "lib" / "site-packages")
    monkeypatch.syspath_prepend(tmp_path)
    names = {path.partition("/")[0].removesuffix(".py") for path in FILES}
    names |= {"installed", "library"}

    def forget():
        for name in list(sys.modules):
            if name.partition(".")[0] in names:
                del sys.modules[name]
        importlib.invalidate_caches()

    def codes_of(name="mine", **changes):
        for path, text in (FILES | changes).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        forget()
        module = importlib.import_module(name)
        return own_code.codes_of("model.name", f"{name}:Net", module, getattr(module, "Net", None))

    yield codes_of
    forget()


def test_what_a_file_imports_beside_it_is_part_of_the_code_and_nothing_else(codes):
    found = codes()
    assert list(found) == ["code of mine:Net", *(f"code of mine:Net in {path}" for path in USED)]
    expected = hashlib.sha256(b"mine\0" + FILES["mine.py"].encode() + b"\0").hexdigest()[:16]
    assert found["code of mine:Net"] == expected
    assert "later" not in sys.modules and "deep.unused" not in sys.modules


@pytest.mark.parametrize("path", ["mine.py", *USED])
def test_a_change_of_any_file_is_named(codes, path):
    before, after = codes(), codes(**{path: FILES[path] + "# more\n"})
    expected = "its own file" if path == "mine.py" else path
    assert own_code.changed("mine:Net", before | {"fingerprint": "1"}, after) == [expected]
    assert own_code.changed("mine:Net", before, before) == []
    assert own_code.changed("mine:Ne", before, {}) == []
    assert codes(**{"unused.py": "x = 1", "deep/unused.py": ""}) == before


def test_files_that_come_and_go_are_named(codes):
    before = codes()
    after = codes(**{"deep/third.py": "import unused\n"})
    changed = own_code.changed("mine:Net", before, after)
    assert sorted(changed) == ["deep/third.py", "unused.py"]
    assert sorted(own_code.changed("mine:Net", after, before)) == sorted(changed)


def test_of_a_package_it_is_the_package_and_what_lies_beside_it(codes):
    text = "from ..other import y\nimport beside\nclass Net: pass\n"
    found = codes("deep.inside", **{"deep/inside/__init__.py": text})
    others = ["beside.py", "deep/__init__.py", "deep/inside/thing.py", "deep/other.py"]
    others += ["later.py", "mine.py"]
    first = "code of deep.inside:Net"
    assert list(found) == [first, *(f"{first} in {path}" for path in others)]


def test_of_an_installed_module_it_is_its_own_package_alone(codes):
    text = "import numpy, beside, library\nclass Net: pass\n"
    assert list(codes("installed", **{"lib/site-packages/installed.py": text})) == [
        "code of installed:Net"
    ]
    before = codes(**{"mine.py": FILES["mine.py"] + "import installed\n"})
    assert "code of mine:Net in installed.py" not in before


def test_what_is_imported_late_is_read_and_not_run(codes):
    """Such as a program without a guard, which would begin; or a file that is no Python yet."""
    late = "def train():\n    from later import go\n    import deep.other.y, deep.unused\n"
    changes = {"later.py": "raise SystemExit('it runs')\n", "deep/unused.py": "def half(:\n"}
    found = codes(**changes, **{"beside.py": f"class Base: pass\n{late}"})
    names = {name.rpartition(" in ")[2] for name in found}
    assert {"later.py", "deep/unused.py", "deep/other.py"} <= names
    assert "later" not in sys.modules and "deep.unused" not in sys.modules
