"""Strange images as a user meets them: photos of one's own, old workdirs, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from launching import answers_to, assert_refused, launch
from PIL import Image
from records import best_row

from dla_jax.data import images, splits, strange
from dla_jax.data.left_out import seen_by


@pytest.fixture(scope="module")
def workdir(smoke):
    return smoke("ood")[0]


def test_a_photo_is_familiar_or_not(smoke, workdir, tmp_path):
    study = workdir / "study"
    row = best_row(study)
    seed = row["seed"]
    digits, folder = seen_by(images.digits(), seed, 2), tmp_path / "photos"
    val = splits.split(digits, seed, 0.2, 0.2)["val"][:40]
    folder.mkdir()
    for i, position in enumerate(val):
        Image.fromarray(digits.images[position][..., 0]).save(folder / f"{i:02}.png")
    Image.fromarray(255 - digits.images[val[0]][..., 0]).save(folder / "inverted.png")
    flags = ("--config=configs/predict.py", f"--from={study}", f"--config.image={folder}")
    answer = launch(
        *flags,
        "--config.unfamiliar=true",
        f"--config.network={row['group']}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert answer.code == 0, answer.err
    lines = [json.loads(line) for line in answer.out.splitlines()]
    assert "95 % of the validation part" in answer.err and len(lines) == 41
    assert {line["label"] for line in lines} <= set(digits.class_names)
    assert set(lines[0]["probabilities"]) == set(digits.class_names)
    flagged = [line["unfamiliar"] for line in lines[:40]]
    assert np.mean(flagged) <= 0.2
    scores = [line["familiarity"] for line in lines]
    for line in lines:
        other = [each for each in lines if each["unfamiliar"] != line["unfamiliar"]]
        sign = 1 if line["unfamiliar"] else -1
        assert all(sign * (each["familiarity"] - line["familiarity"]) >= 0 for each in other)
    assert min(scores) == scores[-1]


def wrong_lines(smoke, tmp_path):
    (tmp_path / "empty").mkdir()
    made, read = "--config=configs/ood.py:smoke", "--config=configs/ood.py"
    study = f"{read} --from={smoke('ood')[0] / 'study'}"
    images_ = smoke("ood")[0] / "study" / "figures"
    predict = f"--config=configs/predict.py --from={smoke('ood')[0] / 'study'}"
    return {
        read: ["--from is missing"],
        f"{made} --from={smoke('rescnn')[0]}": ["--from", "leave it out"],
        f"{study} --config.far=turnd": ["far", "turnd", "did you mean 'turned'"],
        f"{study} --config.far=blurred": ["blurred stands twice"],
        f"{study} --config.tuning=uniform,gaussian --config.far=turned": ["tuning", "noise alone"],
        f"{study} --config.near= --config.far=": ["near, far: there is no set to report"],
        f"{study} --config.far=folder": ["folder"],
        f"{study} --config.far=folder --config.folder={tmp_path / 'empty'}": ["no image"],
        f"{study} --config.far=mnist": ["mnist is not in"],
        f"{study} --config.settings.epsilons=0,1.5": ["settings.epsilons: 1.5", "at most 1"],
        f"{study} --config.settings.ks=5000": ["settings.ks: 5000 neighbours"],
        f"{study} --config.settings.dims=1": ["settings.dims: 1"],
        f"{study} --config.detectors=msp,knnn": ["detectors: unknown 'knnn'"],
        f"{study} --config.layer=nothing --config.detectors=msp": [
            "unknown 'nothing'",
            "last_conv",
        ],
        f"{study} --config.tuning=uniform,turned": ["turned stands twice"],
        f"{read} --from={smoke('rescnn')[0]} --config.tuning=left_out,uniform": ["noise alone"],
        f"{made} --config.made.data.left_out=0 --config.far=": ["no set to report"],
        "--config=configs/predict.py:smoke --config.unfamiliar=true": ["unfamiliar", "texts"],
        f"{study} --config.layer=blocks/0": ["vim needs what goes into the head"],
        f"{study} --config.num_fitted=3": ["3 training images", "within 8 classes needs"],
        f"{made} --config.num_fitted=3": ["3 training images"],
        f"{made} --config.layer=nothing": ["unknown 'nothing'"],
        f"{predict} --config.image={images_} --config.unfamiliar=true --config.detector=knnn": [
            "detector: unknown 'knnn'"
        ],
    }


def test_wrong_input_is_one_line_and_exit_code_2(smoke, tmp_path):
    wrong = wrong_lines(smoke, tmp_path)
    for line, answer in answers_to(wrong).items():
        assert_refused(answer, wrong[line])


def test_networks_of_a_workdir_without_the_newer_keys_are_read(smoke, tmp_path):
    workdir = tmp_path / "old"
    shutil.copytree(smoke("rescnn")[0], workdir)
    written = json.loads((workdir / "config.json").read_text())
    del written["config"]["data"]["left_out"]
    (workdir / "config.json").write_text(json.dumps(written))
    line = f"--config=configs/ood.py --from={workdir} --config.detectors=msp --dry_run"
    assert answers_to([line])[line].code == 0


def test_sets_that_share_images_are_one():
    assert strange.overlap("cifar100", "cifar100/clock+plate")
    assert strange.overlap("cifar100/plate+bottle", "cifar100/clock+plate")
    assert not strange.overlap("cifar100/bottle", "cifar100/clock")
    assert not strange.overlap("mnist", "fashion_mnist")
