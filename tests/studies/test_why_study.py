"""Why skips help: what stands in the record is what numpy says of the same networks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from launching import answers_to, assert_refused, launch
from ml_collections import ConfigDict
from records import last_rows_of, rows_of

from dla_jax.config.written import read_config
from dla_jax.data import images, splits
from dla_jax.evidence.rows import record_file, record_files
from dla_jax.studies.study import restore
from dla_jax.studies.why import shattered
from dla_jax.studies.why.diagnostics import counts_of, drawn, spread

SMALL = (  # of the diagnostics, for networks that are read
    "--config.num_images=16",
    "--config.lesions.num_draws=1",
    "--config.lesions.max_swaps=1",
    "--config.paths.num_routes=2",
    "--config.shattering.depths=2,3",
    "--config.shattering.points=16",
    "--config.shattering.num_networks=2",
    "--config.shattering.longest_lag=4",
    "--config.shattering.lag=2",
    "--config.landscape.points=3",
    "--config.landscape.cut_points=3",
    "--config.curvature.num_images=8",
    "--config.curvature.num_products=2",
    "--config.curvature.num_density_products=2",
)


@pytest.fixture(scope="module")
def workdir(smoke):
    return smoke("why")[0]


def logits_of(variables, x, deleted=()):
    """Return what an MLP without norm says, written out: logits [B, C]."""
    params = {name: variables["params"][name] for name in ("stem", "blocks", "head")}
    block, wiring = params["blocks"]["block"], variables["wiring"]["blocks"]
    (layer,) = (value for value in block.values() if "kernel" in value)
    h = x @ np.asarray(params["stem"]["kernel"]) + np.asarray(params["stem"]["bias"])
    for i in range(len(wiring["skip"])):
        if i in deleted:
            continue
        f = np.maximum(h, 0) @ np.asarray(layer["kernel"][i]) + np.asarray(layer["bias"][i])
        h = float(wiring["skip"][i]) * h + float(wiring["branch"][i]) * f
    head = params["head"]
    return np.maximum(h, 0) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])


def part_of(workdir, part, seed, most):
    """Return standardised pixels [B, 64] and labels of the first images of a part."""
    data = read_config(workdir)["config"]["data"]
    digits = images.digits()
    parts = splits.split(digits, seed, data["val_fraction"], data["test_fraction"])
    index = drawn(parts[part], most, seed)
    x = digits.images[index].astype(np.float32) / 255
    return ((x - digits.mean) / digits.std).reshape(len(index), -1), digits.labels[index]


def cross_entropy(logits, labels):
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("arm", ["plain", "residual"])
def test_lesions_and_the_middle_of_the_landscape_are_those_of_the_network(arm, workdir):
    row = last_rows_of(workdir)[f"final/{arm}/seed1"]
    variables = restore(workdir, row).variables
    x, labels = part_of(workdir, "test", seed=1, most=32)

    def accuracy(deleted=()):
        return np.mean(logits_of(variables, x, deleted).argmax(1) == labels)

    assert row["whole_accuracy"] == pytest.approx(accuracy(), abs=1e-3)
    single = [accuracy({i}) for i in range(3)]
    np.testing.assert_allclose(row["lesion_accuracy"], single, atol=1e-3)
    assert row["deleted_counts"] == [0, 1, 2, 3]
    ends = [accuracy(), accuracy({0, 1, 2})]
    np.testing.assert_allclose(np.take(row["deleted_accuracy"], (0, -1)), ends, atol=1e-3)
    assert row["swap_counts"] == [0, 1, 2] and len(row["swapped_accuracy"]) == 3
    assert row["swapped_accuracy"][0] == pytest.approx(accuracy(), abs=1e-3)
    loss = cross_entropy(
        logits_of(variables, *(part := part_of(workdir, "val", 1, 32))[:1]), part[1]
    )
    assert row["surface"][1][1] == pytest.approx(loss, rel=2e-3)
    assert row["cut"][1] == pytest.approx(loss, rel=2e-3)
    # The line is the first direction of the surface: its rows.
    np.testing.assert_allclose(row["cut"], np.array(row["surface"])[:, 1], rtol=2e-3)


def test_a_plain_net_has_one_path_and_a_residual_one_many(workdir):
    rows = last_rows_of(workdir)
    plain, residual = (rows[f"final/{arm}/seed0"]["path_norm"] for arm in ("plain", "residual"))
    assert plain[:3] == [0, 0, 0] and plain[3] > 0 and min(residual) > 0
    summary = json.loads((workdir / "summary.json").read_text())
    lengths = {run["group"]: run["length_ratio"] for run in summary["runs"] if run["seed"] == 0}
    assert lengths["plain"] == 2 and lengths["residual"] < 2 and lengths["looks_linear"] is None


def test_only_those_that_are_asked_for_are_diagnosed_and_probed(workdir):
    for run, row in last_rows_of(workdir).items():
        diagnosed = run.startswith("final/") and "looks" not in run
        assert ("lesion_accuracy" in row) == diagnosed
        assert "lesion_accuracy_recomputed" not in row  # without BatchNorm
        assert ("walk_correlation" in row) == run.startswith("final/")
    rows = rows_of(workdir)["final/plain/seed0"]
    probed = [row["step"] for row in rows if "top_eigenvalue" in row]
    assert probed[:2] == [0, 9] and all(step % 9 == 0 for step in probed)
    assert not any("top_eigenvalue" in row for row in rows_of(workdir)["final/looks_linear/seed0"])


def test_a_fresh_looks_linear_net_is_linear_and_a_plain_one_is_not(workdir):
    rows = last_rows_of(workdir)
    linear = np.array(rows["final/looks_linear/seed0"]["walk_correlation"])
    np.testing.assert_allclose(linear, 1, atol=2e-3)
    plain = np.array(rows["final/plain/seed0"]["walk_correlation"])
    assert plain[:, 0] == pytest.approx(1) and plain[1, 4] < 0.99


def test_a_walk_is_what_finite_differences_say():
    model = ConfigDict({"norm": "none", "init": "he", "skip": True, "scaled": True})
    config = ConfigDict({"shattering": {"depths": (3,), "width": 6, "points": 41, "span": 1.0}})
    config.shattering.update({"longest_lag": 2, "num_networks": 1})
    found = shattered.walks(config, model, seed=0)
    gradient, grid = np.array(found["walk_gradient"][0]), shattered.grid_of(config)
    # Between its kinks the network is linear: most neighbours have the very same gradient.
    assert len(grid) == 41 and np.isclose(gradient[1:], gradient[:-1], rtol=1e-3).sum() > 20
    own = np.array(found["walk_correlation"][0])
    by_hand = [np.mean(gradient[: 41 - k] * gradient[k:]) / np.mean(gradient**2) for k in range(3)]
    np.testing.assert_allclose(own, by_hand, rtol=2e-3)


def test_numbers_are_spread_with_both_ends_and_half_of_the_blocks():
    assert spread(3, 11) == (0, 1, 2, 3) and spread(20, 3) == (0, 10, 20)
    assert spread(20, 3, 1) == (0, 1, 10, 20)
    config = ConfigDict({"lesions": {"counts": (), "num_counts": 2}})
    assert counts_of(config, 9) == (0, 4, 5, 9) and counts_of(config, 4) == (0, 2, 4)
    config.lesions.counts = (7, 1)
    assert counts_of(config, 8) == (0, 1, 4, 7)


def test_a_part_in_the_order_of_its_classes_is_mixed():
    index = np.arange(1000)
    found = drawn(index, 100, seed=3)
    assert len(set(found)) == 100 and found.min() < 100 and found.max() >= 900
    assert not np.array_equal(found, drawn(index, 100, seed=4))


@pytest.fixture(scope="module")
def flags(smoke):
    """Return the command line that reads the twins of a study of CNNs with BatchNorm."""
    return ("--config=configs/why.py", f"--from={smoke('gradients')[0]}", *SMALL)


@pytest.fixture(scope="module")
def read(flags, tmp_path_factory):
    """Return the workdir of that command line, and its answer."""
    workdir = tmp_path_factory.mktemp("why") / "run"
    answer = launch(*flags, f"--workdir={workdir}", "--quiet", warm=True, drawn=True)
    assert answer.code == 0, answer.err
    return workdir, answer


def test_twins_of_a_finished_study_are_read(read, smoke):
    workdir, answer = read
    rows, source = last_rows_of(workdir), last_rows_of(smoke("gradients")[0])
    assert set(rows) == {f"final/{arm}/seed{s}" for arm in ("plain", "residual") for s in (0, 1)}
    for run, row in rows.items():
        theirs = source[run]
        assert row["network"] == theirs["group"] and row["test_accuracy"] == theirs["test_accuracy"]
        assert row["lr"] == theirs["lr"] and "lesion_accuracy" in row
        assert len(row["lesion_accuracy"]) == len(row["lesion_accuracy_recomputed"]) == 4
    assert "plain and residual of" in answer.err
    page = (workdir / "report.html").read_text()
    assert "there are no remedies" in page and "Remedies" not in page
    claims = json.loads((workdir / "summary.json").read_text())["claims"]
    assert {claim["name"] for claim in claims} >= {"a_lesion", "b_lesion_recomputed", "h_curvature"}
    assert next(c for c in claims if c["name"] == "i_curvature_along")["verdict"] == "not run"


def test_a_dry_run_says_that_the_networks_are_there(flags, tmp_path):
    answer = launch(*flags, "--dry_run", f"--workdir={tmp_path / 'new'}")
    told = answer.out + answer.err
    assert answer.code == 0 and told.count("trained before") == 2 and "at 0" not in told, told
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_what_was_stopped_goes_on_to_the_same_record(read, flags, tmp_path):
    (before, _), copy = read, tmp_path / "copy"
    shutil.copytree(before, copy)
    runs = list(record_files(copy))
    record_file(copy, runs[-1]).write_text(record_file(copy, runs[-1]).read_text()[:30])
    record_file(copy, runs[1]).unlink()
    answer = launch(*flags, f"--workdir={copy}", "--quiet", warm=True, drawn=True)
    assert answer.code == 0 and "2 of them done before" in answer.err, answer.err
    for path in (*record_files(before).values(), before / "summary.json"):
        assert (copy / path.relative_to(before)).read_bytes() == path.read_bytes()
    shutil.rmtree(copy / "figures")
    assert launch(f"--workdir={copy}", drawn=True).code == 0
    for path in before.glob("figures/*.png"):
        assert (copy / path.relative_to(before)).read_bytes() == path.read_bytes()


def test_a_run_that_was_killed_before_its_last_row_begins_again(workdir, tmp_path):
    """In its training, or while it was diagnosed: nothing but its last row says that it is done."""
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    for run, kept in (("final/residual/seed1", -1), ("final/plain/seed0", 2)):
        path = record_file(copy, run)
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
        shutil.rmtree(copy / "checkpoints" / run)
    answer = launch("--config=configs/why.py:smoke", f"--workdir={copy}", "--quiet", warm=True)
    assert answer.code == 0, answer.err
    assert rows_of(copy) == rows_of(workdir)


def wrong_lines(smoke) -> dict[str, list[str]]:
    read, made = "--config=configs/why.py", "--config=configs/why.py:smoke"
    depth = f"{read} --from={smoke('rescnn')[0]}"
    return {
        read: ["--from is missing", "configs/why.py:digits"],
        f"{made} --from={smoke('rescnn')[0]}": ["--from", "leave it out"],
        f"{read} --from={smoke('cam')[0] / 'study'}": ["has no twins", "residual-2"],
        f"{read} --from={smoke('agents')[0]}": ["no classifier of images"],
        f"{depth} --config.pair=plain-4,residual-9": ["pair: unknown 'residual-9'"],
        f"{depth} --config.pair=residual-4,plain-4": ["residual-4 is not plain"],
        f"{depth} --config.pair=both-1,residual-4": ["both-1", "no blocks"],
        f"{depth} --config.pair=plain-2,residual-4": ["differ in more than the skip"],
        f"{depth} --config.landscape.points=1": ["landscape.points: 1", "at least 3"],
        f"{depth} --config.landscape.points=4": ["landscape.points: 4", "give an odd number"],
        f"{depth} --config.lesions.max_swaps=0": ["lesions.max_swaps: 0"],
        f"{depth} --config.lesions.counts=1,9": ["lesions.counts: 9", "plain-4 has 3"],
        f"{made} --config.lesions.counts=9": ["lesions.counts: 9", "give 0 to 3"],
        f"{depth} --config.shattering.lag=99": ["shattering.lag: 99", "longest_lag"],
        f"{depth} --config.shattering.longest_lag=256": ["longest_lag: 256", "at most 255"],
        f"{depth} --config.shattering.depths=1": ["depths: 1 has no blocks"],
        f"{made} --config.pair=residual,plain": ["residual is not plain"],
        f"{made} --config.diagnosed=plain": ["diagnosed: residual of the pair is missing"],
        f"{made} --config.diagnosed=plain,nets": ["diagnosed: unknown 'nets'"],
        f"{made} --config.networks.plain.model.depth=1": ["depth 1, which has no blocks"],
        f"{made} --config.networks.plain.model.width=6": ["differ in more than the skip"],
        f"{made} --config.networks.residual.model.init=skipinit": [
            "shattered: residual",
            "leave it",
        ],
    }


def test_wrong_input_is_one_line_and_exit_code_2(smoke):
    wrong = wrong_lines(smoke)
    for line, answer in answers_to(wrong).items():
        assert_refused(answer, wrong[line])


def test_the_smoke_shows_each_diagnostic(workdir):
    figures = {path.stem for path in Path(workdir / "figures").iterdir()}
    names = "lesions many_lesions paths walks correlations surfaces contours cuts along spectra"
    assert figures >= {*names.split(), "networks", "pair"}
