"""The embedded set of docstrings: what is collected, what is masked, what is dropped."""

import ast
import importlib.metadata
import re
from pathlib import Path

import numpy as np
import pytest

from dla_jax.data import docstrings

FILES = {
    "__init__.py": '"""Of the package."""\nx = 1\n',
    "a.py": '''"""Of a."""

class Outer:
    """Of a class,
    in two lines."""

    def method(self):
        """Of a method."""
        def nested():
            "Of a nested function."

    class Inner:
        """Of a nested class."""

def bare(): pass

def late():
    x = 1
    """no docstring"""
''',
    "deep/er/b.py": 'def function():\n    r"""Of \\a function."""\n',
    "deep/tests/c.py": '"""Of a test."""\n',
    "tests/test_a.py": '"""Of a test."""\n',
    "_vendor/d.py": '"""Of others."""\n',
    "tests.py": '"""Of a module called tests."""\n',
    "data.txt": '"""Of no module."""\n',
}


ALIASES = [
    *("numpy", "NumPy", "np", "scipy", "SciPy", "sp"),
    *("sklearn", "scikit-learn", "Scikit-Learn", "scikit learn"),
    *("jax", "JAX", "jnp", "jaxlib", "lax", "XLA"),
]
LONGER = [
    *("NumpyVersion", "jax_enable_x64", "__sklearn_clone__", "~/scikit_learn_data"),
    *("SCIPY_ARRAY_API", "is_numpy_array", "jax2tf"),
]
OTHERS = [
    *("relaxed parallax", "input output nps", "a spline", "spam spa", "flaxen", "step-size"),
    "npy files",
]


def lay(folder, files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def some_text(seed: int, length: int = 200) -> str:
    """Make words of letters, as good as never the same for two seeds."""
    letters = np.random.default_rng(seed).choice(list("bcdfghkmqrtvwyz"), length)
    letters[5::6] = " "
    return "a" + "".join(letters)[: length - 2] + "e"


def test_docstrings_of_modules_classes_and_functions_are_found_but_of_tests(tmp_path):
    found = [text for text in docstrings.docstrings_in(lay(tmp_path, FILES)) if text]
    by_file = ["Of the package.", "Of a.", "Of \\a function.", "Of a module called tests."]
    within = ["Of a class,\nin two lines.", "Of a method.", "Of a nested function."]
    assert sorted(found) == sorted([*by_file, *within, "Of a nested class."])
    places = [found.index(text) for text in by_file]
    assert places == sorted(places)  # in the order of the files


def test_a_package_in_a_folder_called_tests_is_read(tmp_path):
    package = lay(tmp_path / "tests" / "package", {"a.py": '"""Of a."""'})
    assert docstrings.docstrings_in(package) == ["Of a."]


@pytest.mark.parametrize("written", ALIASES)
def test_names_of_packages_are_masked(written):
    for around in ("{} is", "in {}.", "``{}.dot``", "({})", "{}'s", "a-{}-b", "by\n{}\nso"):
        cleaned = docstrings.clean(f"before {around.format(written)} after")
        assert cleaned == " ".join(f"before {around.format('_')} after".split())


@pytest.mark.parametrize("written", LONGER)
def test_names_within_longer_names_are_masked(written):
    assert not seen(docstrings.clean(f"before {written} after"))


def seen(text: str) -> list[str]:
    """Find the names of packages in a text, however they are written."""
    return re.findall("numpy|scipy|sklearn|scikit[-_ ]?learn|jax", text, re.IGNORECASE)


@pytest.mark.parametrize("text", OTHERS)
def test_other_words_stay(text):
    assert docstrings.clean(text) == text


def test_a_long_text_is_cut_at_a_blank():
    words = "word " * 300
    assert docstrings.clean(words) == ("word " * 120).strip()  # 120 words of 5 characters
    for length in (599, 600, 601, 602, 700):
        text = some_text(0, length)
        cut = docstrings.clean(text)
        if length <= 600:
            assert cut == text
        else:
            assert 590 < len(cut) <= 600 and text.startswith(cut) and text[len(cut)] == " "
    assert docstrings.clean("x" * 700) == "x" * 600  # no blank to cut at


def test_short_ones_are_dropped():
    texts, packages = docstrings.gather(
        {"a": [some_text(i, length) for i, length in enumerate((0, 10, 59, 60, 61))], "b": []}
    )
    assert sorted(map(len, texts)) == [60, 61] and packages == ["a", "a"]
    only_when_masked = "scikit-learn " * 8
    assert len(only_when_masked) > 60 and docstrings.gather({"a": [only_when_masked]}) == ([], [])


def test_what_stands_twice_is_kept_once_in_a_package_and_in_two_not_at_all():
    one, two, three, four = (some_text(seed) for seed in range(4))
    numbered = f"{three[:40]} 12 {three[40:]}", f"{three[:40]} 345 {three[40:]}"
    texts, packages = docstrings.gather(
        {"a": [one, two, one, "  " + one.upper()], "b": [two.replace(" ", "\n"), four, *numbered]}
    )
    assert packages == ["a", "b", "b"]
    assert texts[0].lower() == one
    assert four in texts[1:]
    assert len(set(texts)) == 3
    assert sum(text.startswith(three[:40]) for text in texts) == 1
    begun_alike = some_text(5, 300), some_text(5, 300)[:200] + some_text(6, 100)
    assert len(docstrings.gather({"a": begun_alike})[0]) == 1


def test_what_differs_in_masked_names_alone_stands_twice():
    one = some_text(0)
    assert docstrings.gather({"a": [f"of numpy {one}"], "b": [f"of jax {one}"]}) == ([], [])


def test_at_most_so_many_a_package_drawn_the_same_each_time(monkeypatch):
    monkeypatch.setattr(docstrings, "MOST", 20)
    found = {
        "a": [some_text(seed) for seed in range(100)],
        "b": [some_text(seed) for seed in range(100, 115)],
    }
    texts, packages = docstrings.gather(found)
    assert packages == ["a"] * 20 + ["b"] * 15 and len(set(texts)) == 35
    assert set(texts[:20]) < set(found["a"]) and set(texts[20:]) == set(found["b"])
    assert set(texts[:20]) != set(found["a"][:20])  # drawn, not the first
    assert docstrings.gather(found) == (texts, packages)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Four small packages, named as the real ones, with the names of all in every docstring."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = "numpy, np.sum, SciPy, sklearn, scikit-learn, JAX and jnp"
    for i, package in enumerate(docstrings.PACKAGES):
        files = {f"m{j}.py": f'"""{some_text(10 * i + j)} {names}"""\n' for j in range(3)}
        lay(tmp_path / package, files | {"tests/a.py": f'"""{some_text(10 * i + 5)}"""'})
    monkeypatch.setattr(docstrings, "folder_of", lambda package: tmp_path / package)
    return tmp_path


def test_every_text_has_the_label_of_its_package_and_no_name(packages):
    texts, labels = docstrings.collect()
    assert sorted(labels) == sorted(3 * list(docstrings.PACKAGES))
    assert set(labels) == {"numpy", "scipy", "sklearn", "jax"}
    assert [(text, seen(text)) for text in texts if seen(text)] == []
    assert not [text for text in texts if "np." in text or "jnp" in text]
    for i, package in enumerate(docstrings.PACKAGES):
        own = {text[:150] for text, label in zip(texts, labels, strict=True) if label == package}
        assert own == {some_text(10 * i + j)[:150] for j in range(3)}


def test_the_second_time_it_comes_from_the_cache(packages, monkeypatch):
    first = docstrings.collect()
    [path] = (packages / "cache").rglob("*.json")
    monkeypatch.setattr(docstrings, "folder_of", None)
    assert docstrings.collect() == first and isinstance(first[0], tuple)
    monkeypatch.setattr(docstrings, "folder_of", lambda package: packages / package)
    path.write_text(path.read_text()[:-20])
    assert docstrings.collect() == first  # damaged: collected again
    (packages / "numpy" / "m0.py").write_text(f'"""{some_text(99)}"""')
    assert docstrings.collect() == first
    # Of other versions, other texts.
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.0")
    assert docstrings.collect() != first and len(list((packages / "cache").rglob("*.json"))) == 2


def test_without_a_place_for_a_cache_it_is_collected_all_the_same(packages, monkeypatch):
    first = docstrings.collect()
    (packages / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(packages / "file"))
    assert docstrings.collect() == first


def test_the_packages_are_found_where_they_lie():
    assert set(docstrings.PACKAGES) == {"numpy", "scipy", "sklearn", "jax"}
    assert docstrings.folder_of("numpy") == Path(np.__file__).parent
    for package, distribution in docstrings.PACKAGES.items():
        assert (docstrings.folder_of(package) / "__init__.py").is_file()
        assert importlib.metadata.version(distribution)


@pytest.mark.parametrize(
    "part", ["numpy/lib", "scipy/special", "sklearn/metrics", "jax/_src/scipy"]
)
def test_no_name_is_left_in_real_docstrings(part):
    """A part of each package: parsing all takes long."""
    package, rest = part.split("/", 1)
    found = list(filter(None, docstrings.docstrings_in(docstrings.folder_of(package) / rest)))
    assert len(found) > 50 and sum(bool(seen(text)) for text in found) > 5
    assert [cleaned for cleaned in map(docstrings.clean, found) if seen(cleaned)] == []


def test_functions_and_classes_come_in_the_order_of_ast_walk():
    source = """
if x:
    try:
        def a(): pass
    except ValueError:
        class B:
            async def c(self): pass
    else:
        def d(e=lambda: 0): pass
    finally:
        with f as g:
            def h(): pass
match i:
    case [j]:
        def k(): pass
for l in m:
    class N: pass
"""
    files = [*Path(docstrings.__file__).parents[1].rglob("*.py")]
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    for text in (source, *(file.read_text() for file in files)):
        tree = ast.parse(text)
        found = [node for node in docstrings.statements_of(tree) if isinstance(node, kinds)]
        assert found == [node for node in ast.walk(tree) if isinstance(node, kinds)]
    assert len(files) > 100


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("numpy.array, mynumpyjax and Scikit-learn's", "_.array, _ and _'s"),
        ("sklearnscikit learn_too; np.sum, snp, xla_call", "_; _.sum, snp, xla_call"),
        ("a_jax_array jaxlib-x numfocus", "_ _-x _"),
    ],
)
def test_words_that_hold_a_name_are_masked_whole(text, masked):
    assert docstrings.clean(text) == masked
