"""The study of attacks: what the record holds is what numpy says of the same networks."""

import json
import shutil

import numpy as np
import pytest
from launching import answers_to, assert_refused, launch
from ml_collections import ConfigDict
from PIL import Image
from records import last_rows_of

from dla_jax.config.written import read_config
from dla_jax.data import images
from dla_jax.evidence.rows import read_rows, record_file, record_files
from dla_jax.studies.adversarial import attacking, measure
from dla_jax.studies.adversarial.attacking import ATTACKS
from dla_jax.studies.adversarial.trained import trained_of
from dla_jax.studies.ood.detectors import read_network

ODD = 0.0371
GUESSING = {"val_pgd_accuracy": 0.25}


@pytest.fixture(scope="module")
def workdir(smoke):
    return smoke("adversarial")[0]


@pytest.fixture(scope="module")
def attacked(workdir):
    """Return the config of the smoke, one of its networks, and digits in [0, 1] with labels."""
    config = ConfigDict(read_config(workdir)["config"])
    study = workdir / "study"
    row = last_rows_of(study)["final/standard/seed1"]
    network = read_network(study, row, "", ())
    x = attacking.as_floats(images.digits().images[:16])
    return config, network, x, np.arange(16, dtype=np.int32) % len(network.class_names)


@pytest.mark.parametrize("name", ATTACKS)
def test_attacked_images_lie_in_their_ball_and_are_images(name, attacked):
    config, network, x, labels = attacked
    found = attacking.attack_images(config, network, x, labels, name, epsilon=ODD)
    assert found.shape == x.shape and found.min() >= 0 and found.max() <= 1
    moved = found - x
    if name == "pgd_l2":
        norms = np.sqrt((moved**2).sum((1, 2, 3)))
        assert norms.max() <= config.epsilon_l2 * (1 + 1e-5) and norms.max() > 0
    else:
        assert 0 < np.abs(moved).max() <= ODD * (1 + 1e-5)
        nothing = attacking.attack_images(config, network, x, labels, name, epsilon=0.0)
        np.testing.assert_array_equal(nothing, x)


def test_lab_b_s_clamp_greys_every_dark_pixel_and_epsilon_zero_changes_something(attacked):
    config, network, x, labels = attacked
    found = attacking.attack_images(config, network, x, labels, "lab_b", epsilon=0.0)
    np.testing.assert_allclose(found, np.maximum(x, 0.5), atol=1e-6)


def test_the_labs_epsilon_is_in_the_units_of_ours(attacked):
    config, network, x, labels = attacked
    bright = 0.6 + 0.3 * x  # what no clamp changes
    for lab, ours, targets in (("lab_b", "fgsm", None), ("lab_d_targeted", "fgsm", labels)):
        how = {"epsilon": ODD, "targets": targets}
        theirs = attacking.attack_images(config, network, bright, labels, lab, **how) - bright
        own = attacking.attack_images(config, network, bright, labels, ours, **how) - bright
        sign = 1 if targets is None else -1  # lab D's goes the other way
        np.testing.assert_allclose(theirs, sign * own, atol=1e-5)
        assert np.abs(own).max() == pytest.approx(ODD, rel=1e-3)


def test_a_targeted_step_goes_to_the_target_and_lab_d_s_away_from_it(attacked):
    config, network, x, _ = attacked
    target = np.zeros(len(x), np.int32)

    def loss(found):
        logits = attacking.classified(config, network, found)
        shifted = logits - logits.max(1, keepdims=True)
        return (np.log(np.exp(shifted).sum(1)) - shifted[:, 0]).mean()

    def moved(attack, epsilon):
        how = {"epsilon": epsilon, "targets": target}
        return attacking.attack_images(config, network, x, target, attack, **how)

    assert loss(moved("fgsm", 0.05)) < loss(x) and loss(moved("pgd", 0.05)) < loss(x)
    assert loss(moved("lab_d_targeted", 0.05)) > loss(moved("lab_d_targeted", 0.0))


def test_the_record_holds_accuracies_by_hand(workdir):
    rows, kept = last_rows_of(workdir), np.load(workdir / "attacked.npz")
    for name in ("standard", "pgd"):
        row = rows[f"final/{name}/seed0"]
        accuracies = [row[f"{attack}_accuracy"] for attack in ATTACKS]
        assert (
            row["worst_accuracy"] <= min(accuracies[:3] + accuracies[4:])
            and row["clean_accuracy"] <= 1
        )
        assert row["fgsm_curve"][0] == pytest.approx(row["clean_accuracy"])
        assert row["fgsm_curve"][1] == pytest.approx(row["fgsm_accuracy"])
        assert set(row["transfer"]) == {"standard", "pgd"}
        assert row["transfer"][name] == pytest.approx(row["pgd_accuracy"])
        gap = row["transfer"]["pgd" if name == "standard" else "standard"] - row["pgd_accuracy"]
        assert row["transfer_gap"] == pytest.approx(gap)
        assert 0 <= row["near_auroc"] <= 1 and 0 <= row["far_auroc_knn"] <= 1
        assert kept[f"{name}/fooled"].shape == (measure.SHOWN, 8, 8, 1)
    assert {row["target"] for row in rows.values()} <= set("0123456789")


def test_the_record_holds_how_networks_were_trained(workdir):
    own = last_rows_of(workdir)["final/pgd/seed1"]
    rows = read_rows(record_file(workdir / "study", "final/pgd/seed1"))
    evaluated = [row for row in rows if "val_pgd_accuracy" in row and not row.get("done")]
    assert len(evaluated) >= 1 and own["trained_step_curve"] == [row["step"] for row in evaluated]
    for key in ("fgsm", "pgd"):
        expected = [row[f"val_{key}_accuracy"] for row in evaluated]
        np.testing.assert_allclose(own[f"trained_{key}_curve"], expected, atol=1e-4)
    assert own["pgd_last"] == evaluated[-1]["val_pgd_accuracy"]
    assert "pgd_last" not in last_rows_of(workdir)["final/standard/seed1"]


def test_what_is_lost_at_the_end_is_below_the_best(tmp_path):
    shares = [(0.5, 0.4), (0.7, 0.6), (0.9, 0.1)]  # under FGSM and PGD
    rows = [
        {"run": "a", "step": i, "val_accuracy": 0.9, "val_fgsm_accuracy": f, "val_pgd_accuracy": p}
        for i, (f, p) in enumerate(shares)
    ]
    last = {"done": True, "overfitted_at": 2, "diverged": False, "val_pgd_accuracy": 0.6}
    rows += [{"run": "a"} | last]
    # One that diverged ends by guessing, whatever its last evaluation was.
    rows += [rows[1] | {"run": "c"}, {"run": "c"} | last | {"diverged": True} | GUESSING]
    rows += [{"run": "b", "step": 1, "val_accuracy": 0.9}, {"run": "b", "done": True}]
    for row in rows:
        file = record_file(tmp_path, row["run"])
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as lines:
            lines.write(json.dumps(row) + "\n")
    found = trained_of(tmp_path)
    assert set(found) == {"a", "c"} and found["a"]["overfitted_at"] == 2
    assert found["a"]["pgd_last"] == 0.1 and found["a"]["pgd_lost"] == pytest.approx(0.5)
    assert found["a"]["trained_pgd_curve"] == [0.4, 0.6, 0.1]
    assert found["c"]["pgd_last"] == 0.25 and found["c"]["pgd_lost"] == pytest.approx(0.35)


def test_masking_is_what_a_blind_attack_finds_beyond_the_others():
    clean = np.array([1, 1, 1, 1], bool)
    correct = {
        "fgsm": np.array([1, 1, 1, 0], bool),
        "pgd": np.array([1, 1, 0, 1], bool),
        "pgd_l2": np.zeros(4, bool),  # another ball: no evidence
        "square": np.array([0, 0, 0, 1], bool),
    }
    assert measure.masking_of(clean, correct) == pytest.approx(0.5 - 0.25)
    assert measure.masking_of(clean, {"fgsm": clean}) is None


def test_what_was_stopped_goes_on_to_the_same_record(workdir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    runs = list(record_files(copy))
    record_file(copy, runs[-1]).write_text(record_file(copy, runs[-1]).read_text()[:30])
    command = ("--config=configs/adversarial.py:smoke", f"--workdir={copy}", "--quiet")
    answer = launch(*command, warm=True, drawn=True)
    assert answer.code == 0, answer.err
    for path in (*record_files(workdir).values(), *workdir.glob("figures/*.png")):
        assert (copy / path.relative_to(workdir)).read_bytes() == path.read_bytes()


def test_a_photo_is_attacked_losslessly_and_says_what_is_seen(workdir, tmp_path):
    study, photo = workdir / "study", tmp_path / "photo.png"
    Image.fromarray(images.digits().images[3][..., 0]).save(photo)
    rows = [row for name, row in last_rows_of(study).items() if name.startswith("final/standard")]
    best = max(rows, key=lambda row: row["val_accuracy"])
    names = read_network(study, best, "", ()).class_names
    flags = ("--config=configs/adversarial.py", f"--from={study}", f"--config.image={photo}")
    into = f"--workdir={tmp_path / 'run'}"
    more = ("--config.networks=standard", "--config.epsilon=0.1")
    answer = launch(*flags, *more, f"--config.target={names[2]}", into)
    assert answer.code == 0, answer.err
    (line,) = [json.loads(line) for line in answer.out.splitlines()]
    after = np.asarray(Image.open(line["attacked"])).astype(int)
    before = np.asarray(Image.open(line["attacked"].replace(".png", "-before.png"))).astype(int)
    assert np.abs(after - before).max() == 25  # 0.1 is 25.5 of 255
    assert line["epsilon"] == 0.1 and set(line) >= {"before", "after", "after_probability"}
    assert launch(into).out == answer.out


def test_photos_of_one_name_are_kept_apart(workdir, tmp_path):
    for i, suffix in enumerate((".png", ".bmp")):
        Image.fromarray(images.digits().images[i][..., 0]).save(tmp_path / f"photo{suffix}")
    flags = ("--config=configs/adversarial.py", f"--from={workdir / 'study'}")
    answer = launch(*flags, f"--config.image={tmp_path}", f"--workdir={tmp_path / 'run'}")
    assert answer.code == 0, answer.err
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert len(found) == len({line["attacked"] for line in found}) == 2
    for line, source in zip(found, sorted(tmp_path.glob("photo*")), strict=True):
        assert line["image"] == str(source)
        before = line["attacked"].replace(".png", "-before.png")
        np.testing.assert_array_equal(Image.open(before), Image.open(source))


def test_the_smoke_shows_each_figure(workdir):
    figures = {path.stem for path in (workdir / "figures").iterdir()}
    names = "attacks curves as_implemented targeted training transfer strips saliency"
    assert figures >= set(names.split())


def wrong_lines(smoke, tmp_path):
    made, read = "--config=configs/adversarial.py:smoke", "--config=configs/adversarial.py"
    study = f"{read} --from={smoke('adversarial')[0] / 'study'}"
    return {
        read: ["--from is missing"],
        f"{study} --config.epsilon=-0.1": ["epsilon: -0.1", "at least 0"],
        f"{study} --config.epsilon=1.5": ["epsilon: 1.5", "at most 1"],
        f"{study} --config.epsilons=0,2": ["epsilons: 2"],
        f"{study} --config.step_size=0": ["step_size: 0"],
        f"{study} --config.attacks=fgsm,pdg": ["attacks: unknown 'pdg'", "did you mean 'pgd'"],
        f"{study} --config.networks=standrd": ["networks: unknown 'standrd'"],
        f"{study} --config.target=ship": ["unknown 'ship'"],
        f"{study} --config.image={tmp_path / 'no.png'}": ["no file or folder"],
        f"{study} --config.far=turnd": ["did you mean 'turned'"],
        f"{study} --config.epsilons=0.1,0": ["epsilons", "do not rise"],
        f"{made} --config.image=x.png": ["give --from=WORKDIR"],
        f"{made} --config.target=ship": ["target of seed 0: unknown 'ship'"],
        f"{made} --config.made.networks.pgd.attack.step_size=0.0": ["attack.step_size"],
    }


def test_wrong_input_is_one_line_and_exit_code_2(smoke, tmp_path):
    wrong = wrong_lines(smoke, tmp_path)
    for line, answer in answers_to(wrong).items():
        assert_refused(answer, wrong[line])
