"""The installed package: what it holds and asks for, and `dla-jax` from a folder of its own."""

import email
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile

import pytest
from launching import ROOT, environment
from packaging.requirements import Requirement

from dla_jax.config.project import VERSION

pytest.importorskip(
    "setuptools", minversion="77", reason="building the package needs requirements-test.txt"
)
EXTRAS = {
    "bench",
    "box2d",
    "cluster",
    "cuda13",
    "hub",
    "notebooks",
    "onnx",
    "test",
    "tfds",
    "tpu",
    "wandb",
}
OWN = """
from configs import rescnn
from configs.shared import SEEDS

def get_config(argument=""):
    config = rescnn.get_config("smoke")
    config.seeds = SEEDS  # of a folder of its own
    return config
"""


def run(*words, folder, **changes):
    """Return the answer of a process that has nothing of this checkout."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel of this checkout, built without a network from what Docker is given."""
    source, pycache = tmp_path_factory.mktemp("source"), shutil.ignore_patterns("__pycache__")
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for path in [path for pattern in kept for path in ROOT.glob(pattern)]:
        if path.is_dir():
            shutil.copytree(path, source / path.relative_to(ROOT), ignore=pycache)
        else:
            shutil.copy(path, source)
    (source / "scratch.py").touch()
    for name in ("tests", "bench", "docs", "notebooks"):  # what must not be taken along
        (source / name).mkdir(exist_ok=True)
        (source / name / "__init__.py").touch()
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", ".", "--no-index")
    flags = ("--no-deps", "--no-build-isolation", "-w", source / "made")
    answer = run(*pip, *flags, folder=source, PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return next((source / "made").glob("*.whl"))


@pytest.fixture(scope="module")
def dla_jax_in(wheel, tmp_path_factory):
    """Return a function: (folder, arguments) -> the answer of the installed `dla-jax` there.

    Another project's package `configs` is installed beside it.
    """
    site = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index")
    answer = run(*pip, "--no-deps", "--no-compile", "--target", site, wheel, folder=site)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (site / "configs").mkdir()
    (site / "configs" / "__init__.py").write_text("whose = 'theirs'\n")

    def start(folder, *arguments):
        words = (sys.executable, *arguments) if arguments[0] == "-c" else ("dla-jax", *arguments)
        path = f"{site / 'bin'}:{environment()['PATH']}"
        answer = run(
            *(shutil.which(words[0], path=path), *words[1:]),
            folder=folder,
            PYTHONPATH=str(site),
            PATH=path,
        )
        assert str(ROOT) not in answer.stdout + answer.stderr
        return answer

    return start


def required(path):
    """Return {package: what a file asks of it}, without those of files that it includes."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    asked = [Requirement(line) for line in lines if line and not line.startswith("-r")]
    return {(r.name, frozenset(r.extras), r.specifier, str(r.marker or "")) for r in asked}


def in_wheel(wheel, extra):
    """Return what a wheel asks for, in the form of `required`; "": without any extra."""
    with zipfile.ZipFile(wheel) as file:
        metadata = email.message_from_bytes(file.read(f"dla_jax-{VERSION}.dist-info/METADATA"))
    assert metadata["Version"] == VERSION and metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("Provides-Extra")) == EXTRAS
    found = set()
    for asked in map(Requirement, metadata.get_all("Requires-Dist")):
        marker, _, of = str(asked.marker or "").rpartition("extra == ")
        if of.strip('"') == extra:
            marker = marker.removesuffix(" and ").removeprefix("(").removesuffix(")")
            found.add((asked.name, frozenset(asked.extras), asked.specifier, marker))
    return found


def test_it_holds_all_that_is_read_at_run_time_and_no_tests_or_benches(wheel):
    kept = [p for p in (ROOT / "dla_jax").rglob("*.*") if p.suffix != ".pyc"]
    expected = {str(path.relative_to(ROOT)) for path in kept} | {"dla_jax/shipped/launch.py"}
    for path in (*ROOT.glob("configs/**/*.py"), *ROOT.glob("docs/examples/*.py")):
        expected.add(f"dla_jax/shipped/{path.relative_to(ROOT)}")
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        script = file.read(f"dla_jax-{VERSION}.dist-info/entry_points.txt").decode()
    assert names == expected
    assert {"dla_jax/evidence/report.html.j2", "dla_jax/shipped/configs/rescnn.py"} <= names
    assert script.split() == ["[console_scripts]", "dla-jax", "=", "dla_jax.front.console:main"]


def test_it_asks_for_what_the_files_of_requirements_name(wheel):
    assert in_wheel(wheel, "") == required(ROOT / "requirements.txt")
    assert len(in_wheel(wheel, "")) > 15 and not in_wheel(wheel, "") & in_wheel(wheel, "test")
    for extra in EXTRAS:
        path = ROOT / f"requirements-{extra}.txt"
        assert in_wheel(wheel, extra) == required(path) and required(path), extra
        assert extra == "test" or "\n-r requirements.txt\n" in path.read_text()
    assert "\n-r requirements-test.txt\n" in (ROOT / "requirements.txt").read_text()


def test_help_and_version_are_fast_and_in_its_own_words(dla_jax_in, tmp_path):
    times = []
    for flag, words in (("--version", f"dla_jax {VERSION}, jax "), ("--help", "\n    dla-jax --")):
        start = time.perf_counter()
        answer = dla_jax_in(tmp_path, flag)
        times.append(time.perf_counter() - start)
        assert answer.returncode == 0 and words in answer.stdout and answer.stderr == ""
        assert "python launch.py" not in answer.stdout
    assert (
        min(times) < 1 and max(times) < 5
    )  # 0.15 s on an idle machine; the import of JAX takes a second
    page = dla_jax_in(tmp_path, "--config=rescnn.py:smoke", "--help").stdout
    assert "width = 4" in page and "\n    dla-jax --config=configs/rescnn.py:digits," in page
    assert "Presets: --config=configs/rescnn.py:PRESET" in page
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--config=rescn.py", "did you mean 'configs/rescnn.py'"),
        ("--config=mlp.py:digit", "did you mean 'digits'"),
    ],
)
def test_wrong_input_is_one_line_with_exit_code_2(line, words, dla_jax_in, tmp_path):
    answer = dla_jax_in(tmp_path, line)
    assert answer.returncode == 2 and answer.stdout == "" and answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("dla-jax: ") and words in answer.stderr


@pytest.mark.slow
def test_the_examples_that_messages_name_are_there_and_pages_are_said_not_to_be(
    dla_jax_in, tmp_path
):
    own = ("--config=configs/own.py:smoke", "--config.model.name=docs.examples.shapes:Nett")
    answer = dla_jax_in(tmp_path, *own)
    assert "docs.examples.shapes has no Nett (did you mean 'Net'?)" in answer.stderr
    answer = dla_jax_in(tmp_path, "--config=docs/examples/width.py:smoke", "--help")
    assert answer.returncode == 0 and "docs/examples/width.py" in answer.stdout, answer.stderr
    page = dla_jax_in(tmp_path, "--config=own.py", "--help").stdout
    assert "docs/usage.md" in page
    assert page.endswith("\n\nPages under docs/ are in this project's folder, and not installed.\n")


@pytest.mark.slow
def test_a_config_of_ones_own_stands_on_those_of_the_package(dla_jax_in, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "shared.py").write_text("SEEDS = (0, 1, 2)\n")
    answer = dla_jax_in(tmp_path, "--config=own.py", "--help")
    assert "seeds = 0,1,2" in answer.stdout, answer.stderr
    answer = dla_jax_in(tmp_path, "--config=own.py", "--dry_run")
    assert answer.returncode == 0, answer.stderr
    assert "38 runs: 14 choose learning rates, 24 are compared" in answer.stdout
    assert "workdir: runs/own/<UTC time>" in answer.stdout
    # beside bytecode, where Python keeps it
    written = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert written == {"configs", "own.py"}


def test_a_program_finds_its_configs_and_keeps_its_own_modules(dla_jax_in, tmp_path):
    code = (
        "import configs, dla_jax, sys; from dla_jax.front import request\n"
        "config = request.read('rescnn.py:smoke', {'num_epochs': 7})\n"
        "import configs as after, configs.claims\n"
    )
    answer = dla_jax_in(tmp_path, "-c", code)
    assert "No module named 'configs.claims'" in answer.stderr  # theirs has none
    code = code.replace(", configs.claims", "") + (
        "print(config.num_epochs, after is configs, configs.whose)\n"
        "print(request.command_of('rescnn.py:smoke', {}, 'w', {}))"
    )
    answer = dla_jax_in(tmp_path, "-c", code)
    told, command = answer.stdout.splitlines()
    assert told == "7 True theirs"
    assert command == "dla-jax --config=rescnn.py:smoke --workdir=w"


def test_it_is_cited_with_its_version_and_every_lab():
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["title"]
    assert cited["version"] == VERSION and cited["license"] == "Apache-2.0"
    assert cited["authors"] == [{"name": "The dla_jax contributors"}]
    labs = (ROOT / "docs" / "statements.md").read_text()
    addresses = re.findall(r"^(https://github\.com/\S+)", labs, re.MULTILINE)
    assert sorted(lab["url"] for lab in cited["references"]) == sorted(addresses)
    for lab in cited["references"]:
        owner, name = lab["url"].split("/")[-2:]
        assert lab["type"] == "software" and lab["authors"] == [{"alias": owner}]
        assert lab["title"].endswith(f": {name}")


def test_the_container_starts_the_command_as_a_user_without_rights():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["dla-jax"]' in lines and "USER user" in lines
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored and "**/__pycache__" in ignored
