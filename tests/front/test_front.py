"""What `dla_jax.run` refuses, what it keeps of a call, how it stops, what a notebook shows."""

import json
import shlex
import signal
from unittest import mock

import numpy as np
import pytest
from launching import ROOT
from ml_collections import ConfigDict

import dla_jax
from dla_jax import commands, studies
from dla_jax.config.checks import ConfigError
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Launch
from dla_jax.config.written import resume_command, write_config
from dla_jax.evidence import pictures, report, verdicts
from dla_jax.front import launching, request
from dla_jax.front.result import NOT_RUN

SMOKE = "configs/rescnn.py:smoke"
CONTEXT = {"title": "t", "answer": "1", "question": "q", "command": "c", "facts": {}}
TEXTS = "configs/dante.py:smoke"


@pytest.mark.parametrize(
    ("config", "changes", "words"),
    [
        ("configs/rescn.py", {}, "did you mean 'configs/rescnn.py'?"),
        ("configs/rescnn.py:smoky", {}, "did you mean 'smoke'?"),
        (SMOKE, {"num_epoch": 2}, "num_epoch: unknown key (did you mean 'num_epochs'"),
        (SMOKE, {"num_epochs": 2.5}, "num_epochs: 2.5 is no int; give one, as in the config"),
        (SMOKE, {"optim.lr": "x"}, "optim.lr: 'x' is no float"),
        (SMOKE, {"optim": {"lr": 1}}, "optim is a group of keys"),
        (SMOKE, {"optim.lr": None}, "optim.lr: None is no value"),
        (SMOKE, {"num_epochs": 0}, "num_epochs: 0 must be at least 1"),
        ("configs/resnet34.py:smoke", {"model.depth": 3}, "model.depth: unknown key"),
        ("configs/agents.py:budgets", {"total_steps": 9}, "total_steps would change nothing"),
        ("configs/predict.py", {}, "predict is no study"),
        (
            ConfigDict({"experiment": "depth", "seeds": (0,)}),
            {"seed": 1},
            "the config has them all",
        ),
    ],
)
def test_wrong_input_is_refused_in_one_line_and_leaves_nothing(
    config, changes, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        dla_jax.run(config, quiet=True, **changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_only_a_finished_study_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match="no workdir of this project"):
        dla_jax.load(tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data.path": "nowhere.txt"}, "nowhere.txt"),
        ({"from_dir": "nowhere"}, "--from"),
        ({"data.path": "README.md"}, "was begun on other data"),
    ],
)
def test_a_finished_study_is_not_the_answer_for_other_data_or_models(
    given, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    config, folder = request.read(TEXTS, {}), tmp_path / "run"
    request.prepare(config, [])
    folder.mkdir()
    written = {"config": config.to_dict(), "launches": [{"command": "x"}], "data": {"name": "x"}}
    (folder / "config.json").write_text(json.dumps(written))
    (folder / "summary.json").write_text('{"study": "language", "runs": []}')
    (folder / "report.html").write_text("")
    assert dla_jax.run(TEXTS, folder).summary["study"] == "language"
    with pytest.raises(ConfigError) as caught:
        dla_jax.run(TEXTS, folder, quiet=True, **given)
    assert words in str(caught.value)
    assert (folder / "report.html").read_text() == ""


def test_a_given_config_stays_as_it_is_and_what_is_given_reaches_all():
    config = ConfigDict({"experiment": "language", "num_epochs": 1, "words": ("a,b",)})
    config.networks = {"small": {"num_epochs": 5}, "large": {}}
    before = config.to_dict()
    asked = request.read(config, {"num_epochs": 3})
    assert request.prepare(asked, ["num_epochs"]) == [
        "num_epochs: 3 also for networks.small, which had 5"
    ]
    assert asked.networks.small.num_epochs == asked.num_epochs == 3 and asked.words == ("a", "b")
    assert config.to_dict() == before


def test_numbers_of_numpy_are_taken_as_numbers(tmp_path):
    changes = {
        "seeds": tuple(np.arange(2)),
        "lrs": np.array([0.5, 0.25]),
        "num_epochs": np.int64(2),
        "optim.lr": np.float32(0.5),
        "data.flip": np.bool_(False),
    }
    asked = request.read(SMOKE, changes).to_dict()
    assert json.loads(json.dumps(asked))["seeds"] == [0, 1] and asked["lrs"] == (0.5, 0.25)
    numbers = [asked["num_epochs"], asked["optim"]["lr"], asked["data"]["flip"]]
    assert numbers == [2, 0.5, False] and [type(n) for n in numbers] == [int, float, bool]
    words = request.command_of(SMOKE, changes, tmp_path, {})
    assert "seeds=0,1 " in words and "lrs=0.5,0.25 " in words and "data.flip=false" in words
    in_python = request.command_of(ConfigDict(), changes, tmp_path, {})
    assert "'seeds': (0, 1), 'lrs': (0.5, 0.25), 'num_epochs': 2" in in_python
    with pytest.raises(ConfigError, match=r"num_epochs: 2.5 is no int"):
        request.read(SMOKE, {"num_epochs": np.float64(2.5)})


def test_the_command_is_typed_as_a_shell_takes_it(tmp_path, monkeypatch):
    changes = {"seeds": range(3), "data.flip": True, "optim.lr": 1e-3, "data.path": "my images"}
    flags = {"from": None, "data_dir": "sets", "nodownload": True, "quiet": False}
    monkeypatch.chdir(ROOT)
    words = shlex.split(request.command_of(SMOKE, changes, tmp_path, flags))
    keys = ["seeds=0,1,2", "data.flip=true", "optim.lr=0.001", "data.path=my images"]
    assert words == [
        *("python", "launch.py", f"--config={SMOKE}"),
        *(f"--config.{key}" for key in keys),
        *(f"--workdir={tmp_path}", "--data_dir=sets", "--nodownload"),
    ]
    monkeypatch.chdir(tmp_path)
    elsewhere = shlex.split(request.command_of(SMOKE, {}, tmp_path, {}))
    assert elsewhere[1] == str(ROOT / "launch.py")


def test_a_config_without_a_file_is_gone_on_with_in_python(tmp_path):
    command = request.command_of(ConfigDict(), {"seeds": (0,)}, tmp_path, {})
    assert command == f"dla_jax.run(config, workdir={str(tmp_path)!r}, **{{'seeds': (0,)}})"
    assert resume_command({"launches": [{"command": command}]}, tmp_path) == command
    swept = request.command_of(ConfigDict(), {}, tmp_path, {"sweep": "optim.lr=1,2"})
    assert swept == f"dla_jax.run(config, workdir={str(tmp_path)!r}, sweep='optim.lr=1,2')"


def test_a_study_that_another_launch_began_meanwhile_is_not_mixed_with(tmp_path, monkeypatch):
    config, other = (request.read(SMOKE, {"num_epochs": n}) for n in (1, 2))
    runs = []

    class Study:
        def check(config, launch):
            write_config(launch.workdir, other.to_dict(), [], {})

        def run(config, launch):
            runs.append(config)

    monkeypatch.setattr(commands, "find_experiment", lambda name: Study)
    monkeypatch.setattr("dla_jax.training.mesh.keep_programs", lambda: None)
    launch = Launch(tmp_path, None, tmp_path, download=False, quiet=True)
    with pytest.raises(ConfigError, match=r"num_epochs \(there 2, now 1\)"):
        launching.start(config, launch, [], lambda: None)
    launching.start(other, launch, [], lambda: None)  # the same study goes on
    assert runs == [other]


def test_a_signal_stops_a_study_and_then_does_what_it_did(tmp_path, monkeypatch, capsys):
    def start(config, launch, remarks, listen):
        listen()
        signal.raise_signal(signal.SIGINT)
        assert stop_requested.is_set()
        raise Interrupted

    monkeypatch.setattr(launching, "start", start)
    before = signal.getsignal(signal.SIGINT)
    launch = Launch(tmp_path, None, tmp_path, download=False, quiet=True, command="dla_jax.run(x)")
    with pytest.raises(KeyboardInterrupt, match=r"goes on, and so does: dla_jax.run\(x\)"):
        launching.start_as_guest(ConfigDict(), launch, [])
    assert "once more to stop at once" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before and not stop_requested.is_set()


def test_a_second_signal_stops_at_once(monkeypatch):
    stop_requested.set()
    with pytest.raises(KeyboardInterrupt):
        launching.ask_to_stop(signal.SIGINT, None)


def test_what_a_notebook_shows_is_escaped_and_names_each_verdict(tmp_path):
    claims = [
        {"statement": "a < b & <script>", "verdict": "does not hold"},
        {"statement": "c", "verdict": "holds"},
        *({"statement": name, "verdict": verdicts.NOT_RUN} for name in "de"),
    ]
    (tmp_path / "report.html").write_text("")
    found = dla_jax.Result(tmp_path, {"answer": "1 < 2", "claims": claims, "runs": [{}]})
    page = found._repr_html_()
    assert "<b>1 &lt; 2</b>" in page and "a &lt; b &amp; &lt;script&gt;" in page
    assert '<span class="verdict does-not-hold">does not hold</span>' in page
    assert '<span class="verdict holds">holds</span> c' in page and "<img" not in page
    assert page.count("class=") == 4 and f'not-run">{NOT_RUN}</span> claims: 2</p>' in page
    assert NOT_RUN == verdicts.NOT_RUN
    expected = "runs: 1, claims: 1 does not hold, 1 holds, 2 not run>"
    assert repr(found).endswith(expected)


def test_a_notebook_has_the_words_of_the_pages_figures_in_its_order(tmp_path):
    (tmp_path / "figures").mkdir()
    words = {"b": 'a > b, "most"', "a": "a < b"}
    for name in (*words, "unused"):
        (tmp_path / "figures" / f"{name}.png").write_bytes(name.encode())
    sections = [
        {
            "title": "One",
            "figures": [
                {"path": tmp_path / "figures" / f"{name}.png", "alt": alt, "caption": "c"}
                for name, alt in words.items()
            ],
        }
    ]
    plain = pictures.Picture("png", 10, 10, None)
    with mock.patch.object(pictures, "read", return_value=plain):
        report.render(tmp_path / "report.html", claims=[], sections=sections, **CONTEXT)
    found = dla_jax.Result(tmp_path, {"answer": "1", "runs": []})
    assert list(found.figures) == ["b", "a"]
    assert [alt for _, alt in found.pictures()] == list(words.values())
    page = found._repr_html_()
    assert 'alt="a &gt; b, &quot;most&quot;"' in page and 'alt="a &lt; b"' in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("docs.examples.width_stud:STUDY", "there is no module docs.examples.width_stud"),
        ("docs.examples.width_study:STUDI", "has no STUDI (did you mean 'STUDY'?)"),
        ("dla_jax.studies.study:report", "is a module; give a Study"),
        ("docs/examples:STUDY", "not of the form package.module:NAME"),
        ("depht", "unknown 'depht' (did you mean 'depth'?)"),
    ],
)
def test_a_study_that_is_not_there_is_named(name, words):
    for find in (studies.find, commands.find_experiment):
        with pytest.raises(ConfigError) as caught:
            find(name)
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_error_inside_a_study_of_ones_own_is_shown_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "broken_study.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        studies.find("broken_study:STUDY")
