"""The tables of benchmarks are of the rounds that were measured."""

import sys

import numpy as np
import pytest

from bench import encoders, language, vision


@pytest.mark.parametrize(
    "module, job, own",
    [
        (language, language.Job("train", "gpt", 2), "train | gpt | 2"),
        (encoders, encoders.Job("embed", "base", 1), "embed | base | 1"),
        (vision, vision.Job("mlp"), "mlp | 128"),
        (vision, vision.Job("digits_cnn_maps"), "digits_cnn_maps | 100"),
        (vision, vision.Job("digits_cnn_detectors"), "digits_cnn_detectors | 1000"),
        (vision, vision.Job("digits_cnn_attacks"), "digits_cnn_attacks | 200"),
    ],
)
def test_the_table_gives_ratios_of_rounds(module, job, own):
    pair = {
        "ours": {"wall": 3000.0, "cpu": 1000.0, "first": 2.0, "gib": 0.5},
        "torch": {"wall": 2000.0, "cpu": 2000.0, "first": 1.0, "gib": 0.25},
    }
    slower = pair | {"ours": pair["ours"] | {"wall": 1000.0}}
    best = {"ours": {"heap": "keep"}, "torch": {"heap": "default", "threads": 2}}
    found = {"job": job, "best": best, "pairs": [pair, slower, pair]}
    head, rule, row = module.table([found]).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row == (
        f"| {own} | 3,000 (1,000 to 3,000) | 2,000 (2,000 to 2,000) | 1.50 (0.50 to 1.50) "
        "| 0.50 (0.50 to 0.50) | 2.0 s / 1.0 s | 0.5 GiB / 0.2 GiB "
        "| ours: heap keep; torch: heap default, threads 2 |"
    )


def test_the_table_of_tracing_gives_ratios_of_rounds():
    from bench import tracing

    found = {
        "untraced": np.array([[10.0, 20.0], [10.0, 20.0]]),
        "traced": np.array([[11.0, 24.0], [11.0, 24.0]]),
        "traced, row written": np.array([[12.0, 30.0], [12.0, 30.0]]),
        "probe": np.array([[25.0, 50.0], [25.0, 50.0]]),
    }
    row = tracing.table({"digits": found}).splitlines()[-1]
    assert row == (
        "| digits | 10.0 / 20.0 | 1.10 (1.10 to 1.10) / 1.20 (1.20 to 1.20) "
        "| 1.20 (1.20 to 1.20) / 1.50 (1.50 to 1.50) "
        "| 1.10 (1.10 to 1.10) / 1.10 (1.10 to 1.10) |"
    )


def test_the_table_of_landscapes_gives_the_cost_of_a_point():
    from bench import landscape

    found = {3: np.array([[1.0, 1.8], [0.9, 1.8]]), 5: np.array([[2.6, 5.0], [2.6, 5.0]])}
    rows = landscape.table({"digits": found}).splitlines()[-2:]
    assert rows == [
        "| digits | 3 x 3 | 0.95 / 1.80 | 200.00 |",
        "| digits | 5 x 5 | 2.60 / 5.00 | 200.00 |",
    ]


def test_convolutions_are_measured_layer_by_layer(monkeypatch, capsys):
    from bench import convolutions, page, processes

    asked, times = [], {"ours": [2.0], "channels_last": [1.0]}
    found = dict.fromkeys(convolutions.WORK, times)
    monkeypatch.setattr(convolutions, "measure", lambda *given: asked.append(given) or found)
    monkeypatch.setattr(convolutions, "keep_freed_memory", lambda: asked.append("heap"))
    monkeypatch.setattr(page, "need", lambda *names: None)
    monkeypatch.setattr(page, "machine", lambda *packages: "any machine")
    monkeypatch.setattr(processes, "keep_to", lambda cores: asked.append(cores))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(sys, "argv", ["bench.convolutions", "--nets=cnn9", "--rounds=3"])
    convolutions.main()
    assert asked == [1, "heap", *((layer, 3) for layer in convolutions.NETS["cnn9"])]
    assert capsys.readouterr().out.count("| cnn9 | ") == len(convolutions.NETS["cnn9"])


def test_the_table_of_convolutions_takes_the_faster_layout():
    from bench import convolutions

    times = {"ours": [4.0, 2.0, 3.0], "contiguous_format": [9.0], "channels_last": [6.0, 1.0, 1.5]}
    found = dict.fromkeys(convolutions.WORK, times)
    row = convolutions.table({("resnet20", 32, 16, 32, 2): found}).splitlines()[-1]
    assert row == "| resnet20 | 32x32, 16 to 32, stride 2 " + 5 * "| 3.0 / 1.5: 0.50 " + "|"
