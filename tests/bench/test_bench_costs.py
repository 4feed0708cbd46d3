"""What compiling and texts cost is measured of what the studies do."""

import json
import os
import sys

import jax
import numpy as np
import pytest

from bench import compilation, page, processes, text_memory
from bench.accelerator_rates import inner_jaxprs
from dla_jax.training.steps import init_state


def equations(net: str, kind: str, depth: int) -> int:
    """Return the equations of a step's program, which a scan has once for all blocks."""
    task = compilation.task_of(compilation.Job(net, kind, depth))

    def start():
        return init_state(task.init_fn, task.tx, seed=0, lr=1e-3, mesh=task.mesh)

    def count(jaxpr) -> int:
        inner = (found for equation in jaxpr.eqns for found in inner_jaxprs(equation.params))
        return len(jaxpr.eqns) + sum(map(count, inner))

    with jax.disable_jit():  # nothing is computed, and the compiler's options need not be there
        shapes = jax.eval_shape(start)
    _, traced = next(compilation.stages_of(task, *shapes))
    return count(traced.jaxpr.jaxpr)


@pytest.mark.parametrize(
    ("net", "kind", "depths", "scan"),
    [
        ("digits", "plain", (3, 6), True),
        ("decoder", "", (1, 2), False),
    ],
)
def test_depth_is_written_as_the_table_says(net, kind, depths, scan):
    shallow, deep = (equations(net, kind, depth) for depth in depths)
    assert scan == (shallow == deep) and scan == ("scan" in compilation.FAMILIES[net].written)
    assert scan or deep > 1.3 * shallow


def test_plain_and_residual_are_one_program():
    assert equations("digits", "plain", 3) == equations("digits", "residual", 3)


@pytest.fixture
def measured(monkeypatch):
    """Run `main` of a benchmark with measurements that `found` makes up: (jobs, what is shown)."""

    def start(module, found, *words):
        jobs, shown = [], []
        monkeypatch.setattr(os, "environ", {})
        monkeypatch.setattr(
            processes, "run_once", lambda name, side, job, *rest: jobs.append(job) or found(job)
        )
        monkeypatch.setattr(page, "show", lambda name, text, *rest: shown.append(text))
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        module.main()
        return jobs, shown[0]

    return start


def test_the_table_of_compilation_gives_medians_and_how_depth_is_written(measured):
    turns = iter(range(100))

    def found(job):
        times = [1.0 + next(turns) // 3, 2.0]  # 1, 2, 3 s in the three rounds
        return {"trace": times, "lower": [0.5, 0.25], "compile": [2, 4], "init": [7, 8]} | {
            "before": 9,
            "peak": 1200,
        }

    jobs, text = measured(compilation, found, "--nets=decoder", "--rounds=3")
    assert [job.depth for job in jobs] == [2, 6, 12, 12, 6, 2, 2, 6, 12]
    rows = text.splitlines()
    assert rows[2] == (
        "| decoder | 2 | 7.00 / 8.00 | 2.00 / 2.00 | 0.50 / 0.25 | 2.00 / 4.00 | 4.50 / 6.25 "
        "| 9 MiB | 1,200 MiB |"
    )
    assert rows[-1] == "How depth is written. decoder: written out, layer by layer."


def test_the_figure_says_the_ends_of_each_line(tmp_path):
    each = {"trace": [0, 1], "lower": [0, 1], "compile": [0, 3], "before": 1, "peak": 1}
    deeper = each | {"compile": [0, 8]}
    results = {
        compilation.Job("digits", "plain", 5): [each],
        compilation.Job("digits", "plain", 100): [deeper],
        compilation.Job("decoder", "", 2): [each],
    }
    told = compilation.draw(results, tmp_path / "costs.png")
    assert told == (
        "CPU-seconds to compile a training step: digits CNN plain 5.0 s at 5, 10.0 s at 100; "
        "decoder 5.0 s at 2, 5.0 s at 2."
    )
    assert (tmp_path / "costs.png").stat().st_size > 1000


def test_a_repeated_text_begins_as_it_is_and_changes_a_few_letters():
    text = "the quick brown fox, é and ÷.\n" * 1000
    made, once = text_memory.repeated(text, 60_000), text.encode("ascii", "ignore")
    assert len(made) == 60_000 and made.startswith(once)
    again = made[len(once) : 2 * len(once)]
    other = np.frombuffer(again, np.uint8) != np.frombuffer(once, np.uint8)[: len(again)]
    letters = sum(chr(letter).islower() for letter in once)
    assert 0.5 * text_memory.CHANGED < other.sum() / letters <= text_memory.CHANGED
    assert text_memory.repeated(text, 60_000) == made and set(made) <= set(once) | set(
        range(97, 123)
    )
    assert len(text_memory.repeated(text, 100)) == 100


@pytest.mark.parametrize("kind", ["characters", "pairs"])
def test_a_text_is_read_and_encoded_as_a_study_does(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(text_memory.KINDS, "pairs", {"name": "bpe", "vocab_size": 280})
    path = tmp_path / "text.txt"
    path.write_text("a text that is read, encoded, and encoded once more\n" * 200)
    job = text_memory.Job(kind, str(path), str(tmp_path / "work"), 1)
    found = json.loads(json.dumps(text_memory.measure("ours", job, {}, 0.0)))
    assert (tmp_path / "work" / "tokenizers" / f"{kind}.json").is_file()
    assert found["tokens"] == 10_400 if kind == "characters" else found["tokens"] < 10_400
    assert found["peaks"] == sorted(found["peaks"]) and len(found["peaks"]) == 4
    assert all(len(found[stage]) == 2 for stage in ("read", "learn", "again"))


def test_the_table_of_texts_has_every_size_that_is_asked_for(measured):
    found = {"read": [1, 1], "learn": [2, 3], "again": [4, 5], "peaks": [1, 2, 3, 4000]}
    jobs, text = measured(text_memory, lambda job: found | {"tokens": 2.5e6}, "--largest=1")
    assert [job[0] for job in jobs] == ["characters", "pairs"]
    assert text.splitlines()[-1] == (
        "| 5,549 bytes and pairs | 1 | 2.5 | 1.0 s / 1.0 | 2.0 s / 3.0 | 4.0 s / 5.0 "
        "| 1 MiB | 2 MiB | 3 MiB | 4,000 MiB |"
    )


def test_memory_is_in_mebibytes():
    held = np.ones(64 * 2**20, np.uint8)
    assert processes.peak() > held.nbytes / 2**20
    assert processes.peak() < 64 * 2**10
    del held
