"""The notebooks for teaching: kept without results, with answers, and able to run.

Running them is slow (`-m slow`), and needs requirements-notebooks.txt.
"""

import ast
import importlib
import json
import os
import re
import subprocess
import sys

import pytest
from launching import ROOT, UNTRACED, environment
from test_pages import anchors

from dla_jax.front import request

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ANSWER = re.compile(r"<details><summary>Answer</summary>\n\n(.+)\n\n</details>$", re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What a cell shows when it ends with, or has at its left edge, one of these.
PICTURE = re.compile(r"^(plt\.show|show|strip|Image)\(", re.MULTILINE)
NEEDED = "running notebooks needs requirements-notebooks.txt"
MOST = 180  # seconds of CPU time: no more by the clock, on cores that have nothing else to do
CPU_SECONDS = "import time\nprint(time.process_time())"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell):
    return "".join(cell["source"])


def sources(path, kind):
    return [source(cell) for cell in read(path)["cells"] if cell["cell_type"] == kind]


def answers(path):
    """Return the programs of the answers of a notebook, in its order."""
    return [code for text in sources(path, "markdown") for code in CODE.findall(text)]


def programs(path):
    """Return the code of a notebook and of its answers, as trees."""
    return [ast.parse(code) for code in (*sources(path, "code"), *answers(path))]


def by_name(path):
    return path.stem


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_they_are_kept_without_results_as_nbconvert_writes_them(path):
    """A student guesses first; and a change shows what changed."""
    notebook = read(path)
    written = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    clean = "jupyter nbconvert --clear-output --inplace notebooks/*.ipynb"
    assert path.read_text(encoding="utf-8") == written, clean
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    for cell in notebook["cells"]:
        assert cell["metadata"] == {} and source(cell).strip(), cell["id"]
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None, clean


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_every_exercise_has_an_answer_and_a_place_for_ones_own(path):
    cells = read(path)["cells"]
    places = [i for i, cell in enumerate(cells) if source(cell).startswith("### Exercise")]
    assert len(places) >= 3
    for number, place in enumerate(places, start=1):
        text = source(cells[place])
        assert text.startswith(f"### Exercise {number}\n\n")
        assert text.count("<details>") == 1 and len(ANSWER.search(text)[1].split()) > 20, number
        assert source(cells[place + 1]) == f"# Exercise {number}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_they_ask_before_they_show(path):
    questions = re.findall(
        r"^\*\*[^*]+[?.]\*\*", "\n".join(sources(path, "markdown")), re.MULTILINE
    )
    assert len(questions) >= 6
    assert any(isinstance(node, ast.Assert) for tree in programs(path) for node in ast.walk(tree))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_what_they_import_and_link_to_is_there(path):
    for tree in programs(path):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("dla_jax"):
                module = importlib.import_module(node.module)
                for name in (alias.name for alias in node.names):
                    is_module = (ROOT / node.module.replace(".", "/") / f"{name}.py").is_file()
                    assert is_module or hasattr(module, name), f"{node.module}.{name}"
    for target in re.findall(r"\]\(([^)]+)\)", "\n".join(sources(path, "markdown"))):
        name, _, heading = target.partition("#")
        page = (path.parent / name).resolve()
        assert page.is_file(), target
        assert not heading or heading in anchors(page), target


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_their_studies_have_the_keys_that_they_change(path):
    asked = []
    for tree in programs(path):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "dla_jax.run":
                config = ast.literal_eval(node.args[0])
                changes = {key.arg: eval(ast.unparse(key.value)) for key in node.keywords}
                asked.append(request.read(config, changes))
    assert len(asked) >= 1 and all(config.experiment for config in asked)


def test_the_linter_reads_them():
    answer = subprocess.run(
        (sys.executable, "-m", "ruff", "check", "--show-files", "notebooks"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(answer.stdout.split()) == [str(path) for path in NOTEBOOKS]


def test_their_times_are_those_of_the_page():
    page = (ROOT / "docs" / "usage.md").read_text()
    for path in NOTEBOOKS:
        first = source(read(path)["cells"][0])
        (told,) = re.findall(r"together take (\d+ s) on two CPU cores.* (\d+ s) of CPU time", first)
        row = f"| [`{path.name}`](../notebooks/{path.name}) |"
        (line,) = (line for line in page.splitlines() if line.startswith(row))
        assert line.endswith(f" | {told[0]}, {told[1]} of CPU time |")


def run_cells(path, folder, monkeypatch):
    """Return a notebook as it is after a run in a new folder, its answers behind its own cells.

    It lies in `notebooks` of a folder that has this project's files, and finds them there.
    """
    pytest.importorskip("ipykernel", reason=NEEDED)
    nbclient = pytest.importorskip("nbclient", reason=NEEDED)
    nbformat = pytest.importorskip("nbformat", reason=NEEDED)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    (folder / "notebooks").mkdir()
    for name in ("dla_jax", "configs"):
        (folder / name).symlink_to(ROOT / name)
    kept = environment()
    ours = {"PYTHONPATH", "XLA_FLAGS", "MPLBACKEND", *UNTRACED}
    variables = {key: kept[key] for key in kept.keys() - ours}
    notebook = nbformat.read(path, as_version=4)
    more = [CPU_SECONDS, *answers(path)]
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in more]
    place = {"metadata": {"path": str(folder / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=600, resources=place).execute(env=variables)
    return notebook


def shows(cell, kind):
    """Return whether a cell that ran shows something of a kind, `image/` or `text/html`."""
    data = [name for output in cell["outputs"] for name in output.get("data", {})]
    return any(name.startswith(kind) for name in data)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_they_run_in_three_minutes_and_show_what_they_promise(path, tmp_path, monkeypatch):
    notebook = run_cells(path, tmp_path, monkeypatch)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    (cpu,) = (cell for cell in cells if source(cell) == CPU_SECONDS)
    seconds = float(cpu["outputs"][0]["text"])
    print(f"{path.name}: {seconds:.0f} s of CPU time")
    assert seconds < MOST
    for cell in cells:
        if PICTURE.search(source(cell)):
            assert shows(cell, "image/"), source(cell)
        if re.search(r"^(study|cure)$", source(cell), re.MULTILINE):
            assert shows(cell, "text/html"), source(cell)
    assert os.listdir(tmp_path / "notebooks") == ["runs"]
