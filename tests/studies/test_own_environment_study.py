"""An environment of one's own is learned, its report drawn, and its changes are noticed."""

import ast
import importlib
import json
import shlex
import shutil
import sys

import pytest
from launching import ROOT, assert_refused, launch

import dla_jax
from dla_jax.config.checks import ConfigError
from dla_jax.config.stop import stop_requested
from dla_jax.evidence.rows import read_record
from dla_jax.training.record import Record

CHANGES = {
    "env.name": "walk:Walk",
    "env.max_steps": 32,
    "total_steps": 16384,
    "num_evaluations": 4,
    "eval_episodes": 8,
    "test_episodes": 8,
    "seeds": (2, 3),  # whose first policies go astray
    "optim.lr": 3e-3,
    "model.hidden": (16,),
    "agent.num_envs": 8,
    "agent.num_steps": 32,
    "solved_return": -8.0,
}
BEST = -8.0
EXAMPLE = ROOT / "docs" / "examples" / "walk.py"


def flags_of(changes):
    """Return changes of a config as they are typed."""
    words = {
        key: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for key, value in changes.items()
    }
    return [f"--config.{key}={value}" for key, value in words.items()]


STUDY = ("--config=configs/ppo.py:one", *flags_of(CHANGES), "--workdir=run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the example's module, and the study that was started there."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(EXAMPLE, folder / "walk.py")
    answer = launch(*STUDY, folder=folder)
    assert answer.code == 0, answer.err
    return folder


def summary_of(folder):
    return json.loads((folder / "run" / "summary.json").read_text())


def test_it_is_learned_to_the_best_return_there_is(folder):
    rows = [row for row in read_record(folder / "run") if not row.get("done")]
    assert [row["eval_return"] for row in rows if row["step"] == 0] == [-32, -32]
    for row in rows:  # sampled actions, while it learns
        assert row["step"] != 16384 or BEST - 1 < row["train_return"] <= BEST
    for run in summary_of(folder)["runs"]:
        assert run["eval_return"] == run["last_return"] == BEST and run["solved_at"] > 0
        assert -32 <= run["random_return"] < -25 and run["env"] == "walk:Walk"


def test_the_command_of_the_example_would_run(tmp_path):
    docstring = ast.get_docstring(ast.parse(EXAMPLE.read_text()))
    command = docstring.partition("python launch.py ")[2].partition("\n\n")[0]
    words = shlex.split(command.replace("\\\n", ""))
    answer = launch(*words, "--dry_run", f"--workdir={tmp_path / 'run'}")
    assert answer.code == 0 and "20,000 environment steps" in answer.out, answer


def test_its_name_and_code_stand_where_the_study_is_described(folder):
    written = json.loads((folder / "run" / "config.json").read_text())
    code = written["data"].pop("code of walk:Walk")
    assert written["data"] == {"name": "walk:Walk"} and len(code) == 16
    page = (folder / "run" / "report.html").read_text()
    assert "Agents on walk:Walk" in page and "code of walk:Walk" in page and code in page
    assert "No episode of walk:Walk is drawn" in page
    assert summary_of(folder)["answer"].startswith("On walk:Walk ppo has a mean return")


def test_the_same_command_goes_on_until_the_code_is_another(folder):
    again = launch(*STUDY, folder=folder)
    assert again.code == 0 and "done before" in again.err, again.err
    path = folder / "walk.py"
    path.write_text(EXAMPLE.read_text() + "\n# one thing more\n")
    refused = launch(*STUDY, folder=folder)
    shutil.copy(EXAMPLE, path)
    assert refused.code == 2 and len(refused.err.splitlines()) <= 2, refused.err
    assert "run was begun on other data (code of walk:Walk was " in refused.err


def test_its_report_is_drawn_again_from_the_record_alone(folder, tmp_path):
    before = summary_of(folder)
    shutil.copytree(folder / "run", tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    drawn = launch("--workdir=run", folder=tmp_path)  # where no walk.py is
    assert drawn.code == 0, drawn.err
    assert summary_of(tmp_path) == before and (tmp_path / "run" / "report.html").exists()


def test_what_is_wrong_with_it_is_one_line(folder):
    (folder / "broken.py").write_text("def make(): raise ValueError('no map')\n")
    for name, words in {
        "broken:make": ["env.name: broken:make raised ValueError: no map (broken.py, line 1)"],
        "walk:Wolk": ["walk has no Wolk (did you mean 'Walk'?)"],
        "wolk:Walk": ["there is no module wolk", "current folder"],
        "walk:Params": ["walk:Params returned a Params without reset_env"],
    }.items():
        changes = flags_of({"env.name": name})
        answer = launch("--config=configs/ppo.py:one", *changes, folder=folder)
        assert_refused(answer, ["arms.ppo", *words])
    assert not (folder / "runs").exists()


@pytest.mark.slow
def test_stopped_in_python_it_goes_on_unless_its_module_changed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "strolled.py"
    shutil.copy(EXAMPLE, path)
    changes = CHANGES | {"env.name": "strolled:Walk", "env.sticky": 0.1, "total_steps": 1024}
    run = lambda: dla_jax.run("configs/ppo.py:one", tmp_path / "run", quiet=True, **changes)
    append = Record.append

    def stop_in_the_middle(record, row):
        append(record, row)
        if row["step"] == 256:
            stop_requested.set()

    monkeypatch.setattr(Record, "append", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(Record, "append", append)
    stopped = read_record(tmp_path / "run")
    assert max(row["step"] for row in stopped) == 256

    def write(text):
        path.write_text(text)
        sys.modules.pop("strolled", None)
        importlib.invalidate_caches()

    write(EXAMPLE.read_text().replace("-1.0, state.way", "-2.0, state.way"))
    with pytest.raises(ConfigError, match=r"code of strolled:Walk was \w+, is \w+\)"):
        run()
    assert read_record(tmp_path / "run") == stopped
    write(EXAMPLE.read_text())
    done = run()
    assert [row for row in read_record(done.workdir) if row in stopped] == stopped
    assert len(read_record(done.workdir)) == 2 * 6
    write(EXAMPLE.read_text() + "\n")
    with pytest.raises(ConfigError, match="code of strolled:Walk was "):  # finished, but of another
        run()
