"""The help lists every study, every preset and every key with its comment, at any width."""

import importlib
import re

import pytest
from launching import ROOT

from dla_jax.config.arguments import Preset
from dla_jax.config.checks import ConfigError
from dla_jax.config.command_line import config_names, load_config
from dla_jax.config.comments import arguments_of, comments_of, docstring
from dla_jax.config.help import (
    COMMANDS,
    NAMED,
    asked,
    groups_of,
    minutes_words,
    page,
    plain_key,
    time_words,
    two_columns,
    typed,
)
from launch import answer_help

FURTHER = ("", ",as_implemented=true")


def configs_of(name):
    """Yield the configs of every preset of a module, also as implemented where there is that."""
    module = importlib.import_module(name)
    for preset in module.PRESETS:
        for further in FURTHER:
            try:
                yield module.get_config(preset + further).to_dict()
            except ConfigError:
                assert further, preset


@pytest.mark.parametrize(
    "module", [*(f"configs.{name}" for name in config_names()), "docs.examples.width"]
)
def test_every_key_of_every_preset_has_a_comment(module):
    comments = comments_of(ROOT / f"{module.replace('.', '/')}.py")
    for config in configs_of(module):
        keys = [
            plain_key(config, f"{group}.{key}" if group else key)
            for group, own in groups_of(config)
            for key in own
            if group.rpartition(".")[2] not in NAMED
        ]
        assert len(keys) >= 2
        assert [key for key in keys if not comments.get(key)] == []


@pytest.mark.parametrize("name", config_names())
def test_presets_and_further_arguments_say_what_they_are(name):
    presets = importlib.import_module(f"configs.{name}").PRESETS
    assert all(len(preset.what) > 15 for preset in presets.values())
    assert not [preset for preset in presets.values() if preset.gpu and preset.minutes is not None]
    assert time_words(presets["smoke"]) == "seconds"
    assert all(what for _, what in arguments_of(ROOT / "configs" / f"{name}.py").values())


def test_comments_stand_behind_a_key_or_above_it(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "from configs.optimisers import optim\n"
        "def base():\n"
        "    # Above,\n"
        "    # in two lines.\n"
        "    config.a = 1\n"
        "    config.group.b = 2  # behind\n"
        "    config.c = 3\n"
        "    config.d = {'e': 4}  # of the group\n"
        "    config.f = ConfigDict(\n"
        "        {\n"
        "            'g': 5,  # an entry\n"
        "        }\n"
        "    )\n"
        "def made():\n"
        '    """Return the group `h` of a test."""\n'
        "    h.i = 6  # of what it returns\n"
        "    return {'j': 7}  # entry\n"
        "def preset(config):\n"
        "    config.a = 8  # a second comment\n"
        "    config.optim.lr = 9  # less than the shared one\n"
    )
    found = comments_of(path)
    assert found["optim.lr"].startswith("one peak rate for all")
    own = {key: comment for key, comment in found.items() if not key.startswith("optim.")}
    assert own == {
        "a": "Above, in two lines.",
        "group.b": "behind",
        "d": "of the group",
        "d.e": "of the group",
        "f.g": "an entry",
        "h.i": "of what it returns",
        "h.j": "entry",
    }


def test_further_arguments_are_those_that_are_parsed():
    found = arguments_of(ROOT / "configs" / "rescnn.py")
    assert {key: default for key, (default, _) in found.items()} == {
        "depth": "0",
        "as_implemented": "false",
    }


def lines_at(monkeypatch, width, *arguments):
    monkeypatch.setenv("COLUMNS", str(width))
    return page(list(arguments)).splitlines()


def test_the_help_lists_studies_and_commands_apart_in_a_line_each(monkeypatch):
    lines = lines_at(monkeypatch, 80, "--help")
    studies, commands = (
        next(n for n, line in enumerate(lines) if line.startswith(title))
        for title in ("Studies", "Commands")
    )
    assert {line.split()[0] for line in lines[commands + 1 :]} == set(COMMANDS)
    listed = [line.split()[0] for line in lines[studies + 1 : commands - 1]]
    assert listed == [name for name in config_names() if name not in COMMANDS]
    for name in config_names():
        question = docstring(ROOT / "configs" / f"{name}.py").partition("\n")[0]
        assert any(line.split(maxsplit=1) == [name, question] for line in lines), name


@pytest.mark.parametrize("name", config_names())
def test_a_docstring_sends_the_reader_to_a_page_of_results_and_no_index(name):
    text = docstring(ROOT / "configs" / f"{name}.py")
    pages = re.findall(r"docs/[\w/]+\.md", text)
    assert all((ROOT / page).is_file() and page != "docs/results.md" for page in pages)
    assert pages or "\nResult" not in text


def test_commands_are_what_makes_a_study_first():
    having = [name for name in config_names() if "made" in next(configs_of(f"configs.{name}"))]
    assert sorted(having) == sorted(COMMANDS)


@pytest.mark.parametrize("width", [60, 80, 120, 300])
@pytest.mark.parametrize("argument", ["", "rescnn.py:digits", "yahoo.py", "compare.py:quick"])
def test_no_line_is_wider_than_the_terminal(monkeypatch, width, argument):
    given = [f"--config=configs/{argument}"] if argument else []
    lines = lines_at(monkeypatch, width, "--help", *given)
    commands = ("    python launch.py", "        --config", "    some-program")  # of docstrings
    wide = [line for line in lines if len(line) > min(width, 120)]
    assert not [line for line in wide if not line.startswith(commands)]
    assert not any("\x1b" in line for line in lines)


def test_the_help_of_a_config_has_its_presets_and_the_values_of_the_one_that_is_given(monkeypatch):
    text = " ".join(
        " ".join(lines_at(monkeypatch, 120, "--config=configs/rescnn.py:digits")).split()
    )
    assert "digits 4.6 min embedded" in text and "lab_a for a GPU" in text
    assert "num_epochs = 9 passes over the training part" in text
    assert "num_epochs = 2" not in text and "claims" not in text.partition("Keys")[2][:200]
    smoke = " ".join(lines_at(monkeypatch, 120, "--help", "--config=configs/rescnn.py:smoke"))
    assert "num_epochs = 2 " in smoke and "num_epochs = 9" not in smoke


@pytest.mark.parametrize(
    "line",
    [
        "--config=configs/rescnn.py:smoke --help",
        "-h --config=configs/rescnn.py:smoke",
        "--config configs/rescnn.py:smoke --helpfull",
        "--helpshort --config=configs/rescnn.py:help,smoke",
        "--config=configs/rescnn.py:smoke,help",
        "--config=configs/rescnn.py:preset=smoke,preset=help",
    ],
)
def test_help_is_asked_for_in_many_ways(line, capsys):
    assert asked(line.split())
    with pytest.raises(SystemExit) as left:
        answer_help(line.split())
    out = capsys.readouterr().out
    assert left.value.code == 0 and "Keys of smoke" in out and "width = 4" in out


def test_a_run_is_no_question():
    assert not asked(["--config=configs/rescnn.py:digits", "--config.data.path=help"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("rescnn.py:digit", "did you mean 'digits'"),
        ("rescn.py", "did you mean 'configs/rescnn.py'"),
        ("rescnn.py:help,digits,depth=1", "give a deeper one"),
    ],
)
def test_help_of_what_is_not_there_is_one_line(config, words, capsys):
    with pytest.raises(SystemExit) as left:
        answer_help(["--help", f"--config=configs/{config}"])
    captured = capsys.readouterr()
    assert left.value.code == 2 and captured.out == ""
    assert words in captured.err and captured.err.count("\n") == 1


def test_help_that_a_program_asks_for_is_pointed_to():
    with pytest.raises(ConfigError, match=r"NAME\.py --help says what") as refused:
        load_config(str(ROOT / "configs" / "rescnn.py"), "preset=help")
    assert "digits" in str(refused.value) and "'he'" not in str(refused.value)


@pytest.mark.parametrize(
    ("presets", "words"),
    [
        ("['quick']", "is a list"),
        ("{'quick': quick}", "'quick': <function"),
        ("{'quick': (quick, 'seconds')}", "'quick': (<function"),
        ("{'quick': Preset(quick, None)}", "what=None"),
        ("{'quick': Preset(quick, 'short', 'a minute')}", "minutes='a minute'"),
    ],
)
def test_a_table_of_presets_that_is_none_is_answered_in_one_line(tmp_path, capsys, presets, words):
    path = tmp_path / "own.py"
    path.write_text(
        "from ml_collections import ConfigDict\n"
        "from dla_jax.config.arguments import Preset\n"
        "def get_config(argument=''):\n"
        "    return ConfigDict({'experiment': 'depth'})\n"
        "def quick(config): pass\n"
        f"PRESETS = {presets}\n"
    )
    with pytest.raises(SystemExit) as left:
        answer_help([f"--config={path}", "--help"])
    err = capsys.readouterr().err
    assert left.value.code == 2 and err.count("\n") == 1
    assert words in err and "give {name: Preset(" in err and str(path) in err


def test_times_are_read_as_one_says_them():
    words = [minutes_words(minutes) for minutes in (0.25, 0.6, 4.6, 35, 89, 120, 3000)]
    assert words == ["seconds", "0.6 min", "4.6 min", "35 min", "89 min", "2.0 h", "50 h"]
    assert time_words(Preset(print, "")) == "not timed"
    assert time_words(Preset(print, "", gpu=True)) == "for a GPU"


def test_values_are_shown_as_they_are_typed():
    shown = [typed(value) for value in (None, True, (1, 2), (), "", "a", 1e-8)]
    assert shown == ["(none)", "true", "1,2", "()", '""', "a", "1e-08"]


def test_what_is_too_long_for_its_column_has_lines_of_its_own():
    rows = [("key = 1", "what it means"), ("values = " + "1234,5678," * 4, "others")]
    assert two_columns([("long key = 1", ""), ("k = 2", "")], 31, column=8) == [
        "  long key = 1",
        "  k = 2",
    ]
    assert two_columns(rows, 31, column=8) == [
        "  key = 1   what it means",
        "  values = 1234,5678,1234,5678,",
        "      1234,5678,1234,5678,",
        "            others",
    ]


def test_a_group_that_a_config_makes_has_its_own_comments(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "from configs.text_base import text_data\n"
        "def own_data():\n"
        '    """Return the group `data` of questions."""\n'
        "    data = ConfigDict()\n"
        "    data.name = 'race'  # another set\n"
        "    return data\n"
        "def small(config):\n"
        "    config.batch_size = 2  # for small machines\n"
        "    config.data.name = 'dream'  # smaller\n"
    )
    found = comments_of(path)
    assert found["data.name"] == "another set"
    assert found["data.lower"] == "lower-cases texts before they become tokens"
    assert found["batch_size"] == "texts a step, of all devices together"
