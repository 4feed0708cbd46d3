"""Where the project's files are, its version, and how the command that starts it is named."""

import importlib.metadata
import sys
from pathlib import Path

import pytest
from launching import ROOT, launch

from dla_jax.config import command_line, project, written


def script(folder, name="dla-jax"):
    """Return an executable file in a folder of that name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


def test_python_is_named_where_launch_py_was_typed(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    for typed in ("launch.py", "./launch.py", str(ROOT / "launch.py")):
        monkeypatch.setattr(sys, "argv", [typed, "--help"])
        assert project.launcher() == ["python", typed]
    assert project.as_typed("x: python launch.py -h") == f"x: python {ROOT}/launch.py -h"


def test_the_command_is_named_as_a_shell_finds_it(monkeypatch, tmp_path):
    first, second = script(tmp_path / "first"), script(tmp_path / "second")
    monkeypatch.setattr(sys, "argv", [str(second), "--quiet"])
    for path, expected in (("second:first", "dla-jax"), ("first:second", str(second)), ("", "")):
        places = [str(tmp_path / name) for name in path.split(":") if name]
        monkeypatch.setenv("PATH", ":".join(places) or str(tmp_path))
        assert project.launcher() == [expected or str(second)]
    assert first.exists() and project.as_typed("python launch.py -h") == f"{second} -h"


def test_a_program_of_ones_own_is_told_what_a_shell_takes_here(monkeypatch, tmp_path):
    # also one that is called launch.py
    monkeypatch.chdir(tmp_path)
    script(tmp_path, "launch.py")
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    assert project.launcher() == ["python", str(ROOT / "launch.py")]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["notebook"])
    assert project.launcher() == ["python", "launch.py"]
    monkeypatch.setattr(project, "INSTALLED", True)
    own = script(tmp_path / "bin")
    monkeypatch.setattr(sys, "executable", str(own.with_name("python")))
    assert project.launcher() == [str(own)]
    own.unlink()
    assert project.launcher() == ["dla-jax"]


def test_what_is_missing_is_installed_as_the_project_was(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert project.install_words("hub") == f"pip install -r {ROOT}/requirements-hub.txt"
    monkeypatch.chdir(ROOT)
    found = [project.install_words("tfds"), project.install_words()]
    assert found == ["pip install -r requirements-tfds.txt", "pip install -r requirements.txt"]
    monkeypatch.setattr(project, "INSTALLED", True)
    found = [project.install_words("tfds"), project.install_words()]
    assert found == [f"pip install '.{extra}' in this project's folder" for extra in ("[tfds]", "")]


def test_where_pages_are_is_said_once_where_they_are_not_installed(monkeypatch):
    text = "Read docs/data.md, and docs/studies/agents.md: python launch.py"
    monkeypatch.setattr(sys, "argv", ["dla-jax"])
    assert "\n" not in project.as_typed(text) and project.page_words("docs/a.md") == "docs/a.md"
    monkeypatch.setattr(project, "INSTALLED", True)
    told = project.as_typed(text).splitlines()
    assert told[0].startswith(text.partition(":")[0]) and "python" not in told[0]
    assert told[1:] == ["", "Pages under docs/ are in this project's folder, and not installed."]
    assert "\n" not in project.as_typed("docs/examples/walk.py")
    assert project.page_words("docs/a.md") == "docs/a.md in this project's folder"


@pytest.mark.parametrize("line", ["--version", "--quiet -version", "--help --version"])
def test_the_version_is_one_line(line):
    answer = launch(*line.split())
    jax = importlib.metadata.version("jax")
    assert answer == (0, f"dla_jax {project.VERSION}, jax {jax}\n", "")


@pytest.mark.parametrize(
    ("text", "commit"),
    [
        (None, "unknown"),
        ('{"url": "file:///x", "dir_info": {}}', "unknown"),
        ('{"url": "https://x", "vcs_info": {"vcs": "git", "commit_id": "abc"}}', "abc"),
    ],
)
def test_the_commit_of_an_installed_package_is_the_one_that_pip_fetched(monkeypatch, text, commit):
    monkeypatch.setattr(written, "INSTALLED", True)
    found = type("Found", (), {"read_text": lambda self, name: text})()
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: found)
    assert written.git_commit() == commit


def test_a_config_is_looked_for_here_then_in_this_project(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ours = str(ROOT / "configs" / "rescnn.py")
    for given in ("configs/rescnn.py", "rescnn.py"):
        assert command_line.with_file_found(f"{given}:smoke,depth=3") == f"{ours}:smoke,depth=3"
    for path in (Path("configs/rescnn.py"), Path("rescnn.py")):
        script(path.parent, path.name)
        assert command_line.with_file_found(f"{path}:smoke") == f"{path}:smoke"
    assert command_line.with_file_found("rescn.py") == "rescn.py"
    assert command_line.name_of(ours) == "configs/rescnn.py"
    assert command_line.name_of("rescnn.py") == "rescnn.py"
