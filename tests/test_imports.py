"""Imports point to a lower floor, and heavy libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "dla_jax").rglob("*.py"))
# One entry a room: a module imports its own room and lower floors. `plots` may write numbers as `evidence` does.
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
}
SHARED = {("plots", "evidence.formatting")}
OWNERS = {
    "flax": ("models/", "rl/networks.py"),
    "tensorboardX": ("training/record.py",),
    "orbax": ("training/checkpoint.py",),
    "tensorflow_datasets": ("data/",),
    "transformers": ("data/tokenize.py", "models/hub.py"),
    "tokenizers": ("data/tokenize.py", "models/hub.py"),
    "safetensors": ("data/tokenize.py", "models/hub.py"),
    "huggingface_hub": ("models/hub.py",),
    "gymnax": ("rl/envs.py",),
    "matplotlib": ("plots/",),
    "jinja2": ("evidence/report.py",),
    "tensorflow": ("data/",),
    "torch": (),
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
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

    code = "import launch, sys; print(*sorted({'jax', 'flax', 'numpy', 'orbax', 'scipy', 'matplotlib'} & set(sys.modules)))"
    result = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == ""


def test_no_module_is_too_long_and_none_is_a_drawer():
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= 300, path
        assert path.stem not in {"utils", "helpers", "misc", "common"}
