"""Arguments, checks and workdirs of a config."""

import json
import os
import re
import subprocess
import sys

import pytest

from dla_jax.config.arguments import parse_argument
from dla_jax.config.checks import ConfigError, check_count, check_distinct, check_number
from dla_jax.config.files import write_atomically
from dla_jax.config.workdir import check_workdir, lock_workdir, make_workdir
from dla_jax.config.written import differences, write_config


def test_arguments_are_a_preset_or_typed_pairs():
    parse = lambda text: vars(parse_argument(text, ("digits", "smoke"), depth=0, rate=0.5))
    assert parse("digits") == {"preset": "digits", "depth": 0, "rate": 0.5}
    pairs = {"preset": "smoke", "depth": 7, "rate": 0.001}
    assert parse("preset=smoke, depth=7,rate=1e-3") == pairs
    assert parse("") == {"preset": "digits", "depth": 0, "rate": 0.5}
    flag = lambda text: parse_argument(text, ("digits",), twice=False).twice
    assert flag("twice=true") is True and flag("twice=False") is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digit", "did you mean 'digits'"),
        ("preset=smok", "did you mean 'smoke'"),
        ("digits,dept=3", "did you mean 'depth'"),
        ("digits,depth=x", "expected int"),
        ("as_implemented=maybe", "as in as_implemented=false"),
        ("presets=digits", "unknown 'presets'"),
    ],
)
def test_wrong_arguments_say_how_to_mend_them(text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_argument(text, ("digits", "smoke"), depth=0, as_implemented=False)
    assert "\n" not in str(caught.value)


def test_only_keys_that_change_results_make_a_difference():
    old = {
        "optim": {"lr": 0.1},
        "seeds": [0, 1],
        "log_every_steps": 5,
        "data": {"path": "a", "name": "digits"},
    }
    moved = {"log_every_steps": 9, "data": {"path": "b", "name": "digits"}}
    assert differences(old, old | {"seeds": (0, 1)} | moved) == {}
    assert differences(old, old | {"optim": {"lr": 0.2}}) == {"optim.lr": (0.1, 0.2)}
    assert differences(old, {**old, "new": 1}) == {"new": (None, 1)}


def test_default_workdirs_are_new_and_tell_what_they_hold(tmp_path):
    first = make_workdir("configs/rescnn.py:digits,depth=50", tmp_path)
    assert re.fullmatch(r"rescnn-digits-depth-50/\d{8}T\d{6}Z", str(first.relative_to(tmp_path)))
    assert first.is_dir()
    assert make_workdir("configs/rescnn.py:digits,depth=50", tmp_path) != first


def config(lr=0.1):
    return {"experiment": "depth", "optim": {"lr": lr}}


def written(workdir, data="digits"):
    workdir.mkdir(exist_ok=True)
    write_config(workdir, config(), ["1 x cpu"], {"name": data})


def test_a_workdir_belongs_to_one_config_and_one_data_set(tmp_path):
    written(tmp_path / "run")
    check_workdir(tmp_path / "run", config())
    with pytest.raises(ConfigError, match=r"optim.lr \(there 0.1, now 0.3\)"):
        check_workdir(tmp_path / "run", config(lr=0.3))
    with pytest.raises(ConfigError, match="other data"):
        written(tmp_path / "run", data="mnist")
    written(tmp_path / "run")
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    assert len(content["launches"]) == 2
    assert {"command", "versions", "devices", "git_commit", "python"} <= set(content["launches"][0])
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|unknown", content["launches"][0]["git_commit"])


def test_foreign_and_damaged_folders_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("x")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text('{"config": {')
    refused = {"file": "is a file", "file/below": "is a file"}
    refused |= {"foreign": "no workdir", "damaged": "damaged"}
    for name, words in refused.items():
        with pytest.raises(ConfigError, match=words):
            check_workdir(tmp_path / name, {})
    (tmp_path / "empty").mkdir()
    check_workdir(tmp_path / "empty", {})
    check_workdir(tmp_path / "new" / "below", {})


def test_a_workdir_is_locked_against_a_second_process(tmp_path):
    lock = lock_workdir(tmp_path / "run")
    code = (
        "import pathlib, sys; from dla_jax.config.workdir import lock_workdir; "
        "lock_workdir(pathlib.Path(sys.argv[1]))"
    )
    command = (sys.executable, "-c", code, str(tmp_path / "run"))
    how = {"text": True, "check": False, "env": os.environ | {"PYTHONPATH": "."}}
    second = subprocess.run(command, capture_output=True, **how)
    assert "in use by another process" in second.stderr
    lock.close()
    assert subprocess.run(command, **how).returncode == 0


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_a_workdir_whose_config_was_being_written_is_nobody_elses(tmp_path, monkeypatch):
    """A launch was killed just then, or is still at it."""
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "config.json", "{}")
    assert list(tmp_path.iterdir())
    check_workdir(tmp_path, {})


def test_checks():
    check_number("lr", 0.1, above=0, high=1)
    check_count("depth", 1)
    for call in (
        lambda: check_number("lr", 0, above=0),
        lambda: check_number("lr", float("inf")),
        lambda: check_number("lr", "a"),
        lambda: check_number("lr", True),
        lambda: check_number("lr", 1.0, below=1),
        lambda: check_count("depth", 1.0),
        lambda: check_count("depth", 0),
        lambda: check_count("depth", True),
        lambda: check_distinct("seeds", (1, 2, 1), check_count),
        lambda: check_distinct("seeds", (), check_count),
    ):
        with pytest.raises(ConfigError):
            call()
