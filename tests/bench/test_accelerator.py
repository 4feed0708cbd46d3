"""The command for an accelerator spends a budget, keeps what it found, and goes on."""

import importlib.util
import json
import signal
import subprocess
import sys
import time

import pytest
from launching import ROOT, environment

from bench import accelerator, accelerator_process, accelerator_results, accelerator_rows
from bench.accelerator_rows import Asked, row
from bench.accelerator_stages import STAGES


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def started(monkeypatch, out, tmp_path, capsys):
    """Run `main` with stages that take no time; return (what it did, exit code, what it said)."""
    answers, device = {}, accelerator.check_device
    monkeypatch.setattr(accelerator, "check_device", lambda tiny: tiny and device(tiny))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(accelerator, "missing_data", lambda stage, data_dir: "")
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def start(*words, **now):
        did = []
        answers.update(now)

        def run_stage(name, asked, limit, poll):
            did.append((name, limit))
            poll()
            given = json.loads((out / "results.json").read_text())["stages"][name]
            assert given["state"] == accelerator.RUNNING  # what a killed call leaves
            answer = answers.get(name, "done")
            if isinstance(answer, BaseException):
                raise answer
            return accelerator.entry_of(answer, "", 10.0, [row("rate", 2.0, "steps/s", least=1)])

        monkeypatch.setattr(accelerator, "run_stage", run_stage)
        work = f"--work={tmp_path / 'work'}"
        monkeypatch.setattr(sys, "argv", ["bench.accelerator", f"--out={out}", work, *words])
        with pytest.raises(SystemExit) as exit:
            accelerator.main()
        return did, exit.value.code, capsys.readouterr().err.splitlines()

    return start


def stages_of(out):
    return json.loads((out / "results.json").read_text())["stages"]


def test_stages_run_in_order_of_worth_and_what_does_not_fit_is_named(started, out):
    did, code, said = started("--budget=8m", "--stages=lander,depths,rates,vision")
    assert [name for name, _ in did] == ["rates", "vision", "depths", "lander"] and code == 0
    assert dict(did)["rates"] == 2 * STAGES["rates"].seconds + 60
    assert dict(did)["depths"] == pytest.approx(480 - 25, abs=5)  # never beyond what is left
    did, code, said = started("--budget=5m", "--stages=resnet34,many")
    assert [name for name, _ in did] == ["many"]  # 300 s do not fit into 275, 60 do
    left = stages_of(out)["resnet34"]
    assert left["state"] == "left" and "takes about 300 s, 27" in left["why"]
    assert any("resnet34: left: takes about 300 s" in line for line in said)
    assert "## resnet34" in (out / "results.md").read_text()


def test_the_same_command_goes_on_and_what_was_cut_comes_last(started, out):
    words = ("--budget=25m", "--stages=rates,agents,many,lander")
    did, code, said = started(*words, rates="failed", agents=KeyboardInterrupt())
    assert [name for name, _ in did] == ["rates", "agents"] and code == 130
    assert said[-1].endswith("interrupted; the same command goes on")
    assert stages_of(out)["agents"]["state"] == "running"
    did, code, _ = started(*words, rates="done", agents="cut")
    assert [name for name, _ in did] == ["many", "lander", "rates", "agents"] and code == 0
    did, code, _ = started(*words, agents="done")
    assert [name for name, _ in did] == ["agents"]
    assert {entry["state"] for entry in stages_of(out).values()} == {"done"}
    assert started(*words)[0] == []


def test_a_failed_stage_gives_the_exit_code_and_the_others_run(started):
    did, code, _ = started("--stages=rates,many", rates="failed")
    assert [name for name, _ in did] == ["rates", "many"] and code == 1


def test_the_budget_counts_earlier_calls_and_a_call_may_be_shorter(started, out):
    out.mkdir()
    earlier = {"tiny": False, "spent_s": 290.0, "stages": {}}
    (out / "results.json").write_text(json.dumps(earlier))
    assert started("--budget=6m", "--stages=rates")[0] == []  # 70 s, of which 25 are for the end
    did = started("--budget=7m", "--stages=rates")[0]
    assert did == [("rates", pytest.approx(420 - 290 - 25, abs=5))]
    assert started("--budget=25m", "--call=80s", "--stages=many")[0] == []
    assert 290 < json.loads((out / "results.json").read_text())["spent_s"] < 295


def test_a_page_says_what_was_aimed_at_and_reached(started, out):
    started("--stages=rates")
    assert "- rate: 2 steps/s, at least 1: reached" in (out / "results.md").read_text()
    assert accelerator_rows.shown(row("a", 90.4, "%", least=90.5)).endswith("at least 90.5: missed")
    assert accelerator_rows.shown(row("a", 1.48, "nats", most=1.48)).endswith("1.48: reached")
    assert accelerator_rows.shown(row("a", 12345.6, "", note="b")) == "a: 12,346 (b)"
    assert accelerator_rows.shown(row("only words", None, "")) == "only words"


def test_what_is_missing_is_said_in_a_line_and_its_stages_fall_out(started, out, monkeypatch):
    absent = ("gymnax", "tensorboardX")
    there = lambda name: None if name in absent else name
    monkeypatch.setattr(importlib.util, "find_spec", there)
    lack = lambda stage, data_dir: "no dante.txt" if "dante" in stage.data else ""
    monkeypatch.setattr(accelerator, "missing_data", lack)
    did, code, said = started("--stages=rates,lander,dante")
    assert [name for name, _ in did] == ["rates"] and code == 0
    assert said[:2] == [
        "bench.accelerator: without tensorboardX fall out: dante, lander; pip install tensorboardX",
        "bench.accelerator: without gymnax fall out: lander; pip install gymnax",
    ]
    absent = ()
    did, _, said = started("--stages=rates,lander,dante")
    assert [name for name, _ in did] == ["lander"]
    assert said[0] == "bench.accelerator: dante falls out: no dante.txt"
    assert stages_of(out)["dante"]["state"] == "falls out"


def test_data_that_is_missing_is_named(tmp_path, monkeypatch):
    say = lambda name: accelerator.missing_data(STAGES[name], tmp_path)
    assert say("rates") == "" and say("dante") == f"{tmp_path} has no dante.txt"
    assert "no prepared cifar10" in say("resnet20")
    folder = tmp_path / "cifar10" / "3.0.2"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "not decoded yet, which needs tensorflow-datasets, array_record" in say("resnet20")
    decoded = folder / ".dla_jax" / "key"
    decoded.mkdir(parents=True)
    (decoded / "images.npy").touch()
    assert say("resnet20") == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--budget=25",), "no duration; give one as in 90s, 25m or 1.5h"),
        (("--call=0m",), "--call=0m: no duration"),
        (("--stages=rates,speed",), "no stage speed; there are rates, vision"),
        (("--data_dir=/nowhere",), "--data_dir=/nowhere: no such folder"),
        (("--work=OUT/inside",), "is within --out, which stays small"),
        (("--tiny",), "holds no rehearsal"),
        (("--out=",), "--out is missing"),
    ],
)
def test_wrong_input_exits_with_2_and_one_line(words, told, started, out):
    out.mkdir()
    (out / "results.json").write_text(json.dumps({"tiny": False, "spent_s": 0.0, "stages": {}}))
    did, code, said = started(*(word.replace("OUT", str(out)) for word in words))
    assert not did and code == 2 and len(said) == 1 and told in said[0]


def test_damaged_results_are_refused(started, out):
    out.mkdir()
    (out / "results.json").write_text("{")
    did, code, said = started()
    assert not did and code == 2 and len(said) == 1 and "is damaged" in said[0]


def test_without_an_accelerator_only_a_rehearsal_is_done(out):
    command = (sys.executable, "-m", "bench.accelerator", f"--out={out}")
    how = {"cwd": ROOT, "env": environment(), "timeout": 100}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1
    assert "JAX finds cpu and no accelerator here" in answer.stderr and not out.exists()


@pytest.mark.parametrize(("ending", "state"), [("exit 0", "done"), ("exit 3", "failed")])
def test_rows_and_the_last_line_of_a_process_are_kept(ending, state, monkeypatch, tmp_path):
    entry = with_script(monkeypatch, tmp_path, f"echo first >&2; echo last >&2; {ending}", 60)
    assert entry["state"] == state and entry["rows"] == [{"what": "a"}]
    assert entry["why"] == ("last" if state == "failed" else "")


def test_a_stage_that_lasts_too_long_is_ended_with_all_that_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(accelerator_process, "STOPS", 0.3)
    grandchild = tmp_path / "grandchild"
    script = f"trap '' INT; (sleep 2; touch {grandchild}) & wait; wait"
    begin = time.monotonic()
    entry = with_script(monkeypatch, tmp_path, script, 0.5)
    assert time.monotonic() - begin < 2 and entry["state"] == "cut"
    assert entry["rows"] == [{"what": "a"}] and "may take 0 s" in entry["why"]
    time.sleep(2)
    assert not grandchild.exists()


def with_script(monkeypatch, tmp_path, script, limit):
    """Run a stage that is a script, after it wrote a row and the beginning of another."""
    program = tmp_path / "program"
    rows = """printf '{"what": "a"}\\n{"wha' > "${4#--rows=}"\n"""
    program.write_text(f"#!/bin/sh\n{rows}{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    asked = Asked(tmp_path, tmp_path / "work")
    return accelerator_process.run_stage("rates", asked, limit, lambda: None)


def test_rates_are_handed_on():
    rows = [
        row("matrix product, bfloat16", 800.0, "TFLOP/s"),
        row("matrix product, float32", 400.0, "TFLOP/s"),
        row("matrix product, float32, precision highest", 50.0, "TFLOP/s"),
    ]
    found = {"stages": {"rates": {"rows": rows}}}
    assert accelerator_results.rates_of(found) == {"bfloat16": 800.0, "float32": 400.0}
    assert accelerator_results.rates_of({"stages": {}}) == {}
