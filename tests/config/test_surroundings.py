"""A study starts from any folder, with a file of flags, without a home or beside another one."""

import json
import os
import pwd
import shutil
import threading
from pathlib import Path

import jax
import numpy as np
import pytest
from launching import launch, launch_many
from ml_collections import ConfigDict

from dla_jax.config import workdir
from dla_jax.config.checks import ConfigError
from dla_jax.config.files import cache_folder, data_folder, write_atomically
from dla_jax.config.written import write_config
from dla_jax.data import cache, docstrings, embeddings
from dla_jax.training import mesh
from launch import FLAGS, start

SMOKE = "--config=configs/gpt2.py:smoke"


@pytest.fixture
def homeless(monkeypatch):
    """Take the home folder from the user, as in a container with a number for a name."""
    for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))


def test_without_a_home_nothing_is_kept_and_all_works(homeless, monkeypatch, tmp_path, capsys):
    assert cache_folder() is None
    assert "no home folder" in mesh.keep_programs()
    assert embeddings.path_of("k") is None
    assert embeddings.read("k") is None
    assert embeddings.write("k", vectors=None) is None
    monkeypatch.setattr(docstrings, "gather", lambda found: (["text"], ["numpy"]))
    monkeypatch.setattr(docstrings, "docstrings_in", lambda folder: [])
    assert docstrings.collect() == (("text",), ("numpy",))
    images, labels = np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, np.int32)
    made = cache.Decoded(images, labels, ("a",), mean=(0.0,), std=(1.0,), test_start=None)
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o555)
    found = cache.cached(tmp_path / "data", "key", lambda: made, ("a",))
    assert found.images.shape == images.shape
    assert "cannot be kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("set_", "flags", "expected"),
    [
        ({}, [], "tensorflow_datasets"),
        ({"XDG_CACHE_HOME": "/x"}, [], "tensorflow_datasets"),
        ({"TFDS_DATA_DIR": "/sets"}, ["--data_dir=/sets"], "/sets"),
        ({}, ["--data_dir=/other"], "/other"),
    ],
)
def test_without_a_home_prepared_data_are_looked_for_here(
    homeless, monkeypatch, set_, flags, expected
):
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    FLAGS.unparse_flags()
    FLAGS(["launch.py", *flags])
    assert data_folder(FLAGS.data_dir) == Path(expected)


def test_a_home_that_was_typed_and_is_not_there_is_named(homeless):
    FLAGS.unparse_flags()
    FLAGS(["launch.py", "--data_dir=~/sets"])
    with pytest.raises(ConfigError, match="--data_dir: ~/sets begins with the name of a user"):
        data_folder(FLAGS.data_dir)
    FLAGS.unparse_flags()
    FLAGS(["launch.py"])


def test_an_empty_variable_is_an_unset_one(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.setenv(name, "")
    assert cache_folder() == tmp_path / ".cache" / "dla_jax"
    before = jax.config.jax_compilation_cache_dir
    try:
        assert mesh.keep_programs() is None
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / ".cache" / "dla_jax" / "xla")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_a_device_that_is_not_there_is_named_in_one_line(tmp_path):
    answer = launch(
        "--config=configs/rescnn.py:smoke", f"--workdir={tmp_path / 'run'}", JAX_PLATFORMS="cuda"
    )
    assert answer.code == 2 and len(answer.err.strip().splitlines()) == 1, answer.err
    assert "JAX_PLATFORMS=cuda" in answer.err
    assert "unset it" in answer.err
    assert not (tmp_path / "run").exists()


def test_keys_in_a_file_of_flags_are_checked_as_typed_ones(tmp_path):
    (tmp_path / "flags").write_text("--config=configs/rescnn.py:smoke\n--config.num_epoch=3\n")
    (tmp_path / "lone").write_text("--config.optim.lrr=3\n")
    answers = launch_many(
        [
            [f"--flagfile={tmp_path / 'flags'}"],
            ["--flagfile=nowhere"],
            ["--config=configs/rescnn.py:smoke", f"--flagfile={tmp_path / 'lone'}"],
        ]
    )
    expected = ("did you mean 'num_epochs'", "nowhere", "did you mean 'optim.lr'")
    for answer, words in zip(answers, expected, strict=True):
        assert answer.code == 2 and words in answer.err, answer.err
        assert len(answer.err.strip().splitlines()) == 1, answer.err


def test_a_mistyped_key_names_its_neighbours_and_no_claims():
    expected = {
        "num_epoch": "did you mean 'num_epochs'",
        "lr": "'optim.lr'",
        "xyzzy": "unknown key; configs/rescnn.py has them all",
    }
    config = "--config=configs/rescnn.py:digits"
    answers = launch_many([[config, f"--config.{key}=1"] for key in expected])
    for answer, words in zip(answers, expected.values(), strict=True):
        assert answer.code == 2 and words in answer.err, answer.err
        assert "claims" not in answer.err and len(answer.err) < 250, answer.err


def test_it_starts_from_any_folder(tmp_path):
    answer = launch(SMOKE, "--quiet", folder=tmp_path)
    assert answer.code == 0, answer.err
    (made,) = (tmp_path / "runs").glob("gpt2-smoke/*")
    assert (made / "samples.jsonl").is_file()
    wrong = launch("--config=configs/gpt.py", folder=tmp_path)
    assert wrong.code == 2 and "did you mean 'configs/gpt2.py'" in wrong.err
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["gpt2-smoke"]


def test_wrong_input_leaves_no_default_workdir(tmp_path):
    answer = launch("--config=configs/rescnn.py:smoke", "--config.num_epochs=0", folder=tmp_path)
    assert answer.code == 2 and not list(tmp_path.glob("runs/*"))


def test_launches_in_one_second_get_folders_of_their_own(tmp_path):
    found, barrier = [], threading.Barrier(8)

    def begin():
        barrier.wait()
        found.append(workdir.make_workdir("configs/mlp.py:digits", tmp_path))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8 and all(path.is_dir() for path in found)


def test_a_workdir_that_another_launch_began_meanwhile_is_refused_under_the_lock(
    tmp_path, monkeypatch, capsys
):
    """The check before the lock passes, since the folder is empty.

    The other launch begins, and ends, before the lock is taken.
    """
    place, done = tmp_path / "run", []
    before = {"experiment": "depth", "num_epochs": 1}

    class Study:
        def check(config, launch):
            done.append("data read")
            place.mkdir()
            write_config(place, before, ["1 x cpu"], {"name": "digits"})

        def run(config, launch):
            done.append("ran")

    monkeypatch.setattr("dla_jax.commands.find_experiment", lambda name: Study)
    FLAGS(["launch.py"])
    with pytest.raises(ConfigError, match=r"num_epochs \(there 1, now 4\)"):
        start(ConfigDict(before | {"num_epochs": 4}), place)
    assert done == ["data read"]


def test_a_file_name_that_is_not_utf_8_can_be_written_down(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_atomically(tmp_path / "report.html", f"<p>{name}</p>")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "<p>caf\\udce9</p>"
    write_atomically(tmp_path / "summary.json", json.dumps({"name": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == {"name": name}


def test_a_workdir_stands_for_the_study_that_it_made(tmp_path, capsys):
    for place in ("cam", "cam/study", "compare", "compare/studies/a", "compare/studies/b", "plain"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text("{}")
    assert workdir.follow_made("--from", tmp_path / "cam") == tmp_path / "cam" / "study"
    assert "made its study in" in capsys.readouterr().err
    assert workdir.follow_made("--from", tmp_path / "plain") == tmp_path / "plain"
    words = r"made several studies; give one of .*studies/a, .*studies/b"
    with pytest.raises(ConfigError, match=words):
        workdir.follow_made("--from", tmp_path / "compare")


def test_an_empty_workdir_is_removed_and_no_other(tmp_path):
    for name in ("empty", "locked", "full"):
        (tmp_path / name / "run").mkdir(parents=True)
    (tmp_path / "locked" / "run" / ".lock").touch()
    (tmp_path / "full" / "run" / "config.json").touch()
    for name in ("empty", "locked", "full"):
        workdir.remove_if_empty(tmp_path / name / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    shutil.rmtree(tmp_path / "full")
