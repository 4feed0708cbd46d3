"""Imports point to a lower floor, and heavy libraries stay where they belong."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "dla_jax").rglob("*.py"))
# One entry a room: a module imports its own room and lower floors. `plots` may write numbers as
# `evidence` does.
FLOORS = {
    "config": 0,
    "data": 1,
    "models": 1,
    "analysis": 1,
    "evidence": 1,
    "plots": 1,
    "training": 2,
    "rl": 3,
    "tasks": 4,
    "trials": 5,
    "studies": 6,
    "commands": 7,
    "front": 8,
    "__init__.py": 9,
}
SHARED = {("plots", "evidence.formatting"), ("plots", "evidence.pictures")}
OWNERS = {
    "flax": ("models/", "rl/networks.py", "rl/lunar_lander.py"),
    "tensorboardX": ("training/record.py",),
    "orbax": ("training/checkpoint.py",),
    "tensorflow_datasets": ("data/",),
    "transformers": ("data/tokenize.py", "models/hub.py"),
    "tokenizers": ("data/characters.py", "data/tokenize.py", "models/hub.py"),
    "safetensors": ("data/tokenize.py", "models/hub.py"),
    "huggingface_hub": ("models/hub.py",),
    "gymnasium": ("rl/judge.py",),
    "gymnax": ("rl/envs.py", "rl/lunar_lander.py", "rl/own_environment.py", "rl/own_steps.py"),
    "matplotlib": ("plots/",),
    "jinja2": ("evidence/report.py",),
    "tensorflow": ("data/",),
    "wandb": ("front/wandb_runs.py",),
    "datasets": ("data/hub_fetch.py", "data/hub_rows.py"),
    "onnx": ("commands/export/onnx_graph.py",),
    "onnxruntime": ("commands/export/image.py",),
    "submitit": ("front/cluster.py",),
    "torch": (),
}


@functools.cache
def read(path):
    """Return (imports at the top, all imports, (name, lines) of functions), parsed once."""
    tree = ast.parse(path.read_text())
    imports, functions = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif isinstance(node, ast.FunctionDef):
            functions.append((node.name, node.end_lineno - node.lineno))
    return [node for node in imports if node in tree.body], imports, functions


def imported(path):
    for node in read(path)[1]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(path):
    return str(path.relative_to(ROOT / "dla_jax"))


def part(name):
    return name.split(".")[1] if name.count(".") else ""


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_imports_point_down(path):
    own = place(path).split("/")[0]
    for name in imported(path):
        if not name.startswith("dla_jax.") or part(name) == own:
            continue
        if any(
            (own, module) in SHARED and name.startswith(f"dla_jax.{module}.")
            for _, module in SHARED
        ):
            continue
        assert part(name) in FLOORS, f"{name}: give its room a floor in this test"
        assert FLOORS[part(name)] < FLOORS[own], f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_heavy_libraries_stay_where_they_belong(path):
    for name in imported(path):
        library = name.split(".")[0]
        assert library not in OWNERS or place(path).startswith(OWNERS[library]), (
            f"{place(path)} imports {library}"
        )


def test_parsing_a_command_imports_nothing_slow():
    import subprocess
    import sys

    slow = {"jax", "flax", "numpy", "orbax", "scipy", "matplotlib"}
    code = f"import dla_jax, launch, sys; print(*sorted({slow} & set(sys.modules)))"
    result = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == ""


def test_no_module_is_too_long():
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= 300, path


def test_no_function_is_too_long():
    for path in MODULES:
        for name, lines in read(path)[2]:
            assert lines < 60, f"{place(path)}: {name}"


def test_no_import_has_another_name_and_none_hides_in_a_function():
    for path in MODULES:
        at_top, imports, _ = read(path)
        for node in imports:
            names = [getattr(node, "module", None) or "", *(a.name for a in node.names)]
            if any(name.startswith("dla_jax") for name in names):
                assert all(alias.asname is None for alias in node.names), place(path)
                assert node in at_top, f"{place(path)}: {ast.unparse(node)}"


def test_no_modules_import_one_another_in_a_circle():
    names = {f"dla_jax.{place(path)[:-3].replace('/', '.')}": path for path in MODULES}
    below = {
        module: {found for name in imported(path) for found in (name, name.rpartition(".")[0])}
        & names.keys()
        for module, path in names.items()
    }
    while below:
        lowest = {module for module, under in below.items() if not under & below.keys() - {module}}
        assert lowest, f"a circle among {sorted(below)}"
        below = {module: under for module, under in below.items() if module not in lowest}


def test_no_module_is_a_drawer():
    for path in [*MODULES, *(ROOT / "configs").rglob("*.py"), *(ROOT / "bench").glob("*.py")]:
        assert not path.stem.startswith(("utils", "helpers", "misc", "common")), path
