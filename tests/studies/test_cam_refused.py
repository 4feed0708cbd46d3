"""What configs/cam.py refuses: wrong sources, photos and settings."""

import shutil

import pytest
from launching import answers_to, assert_refused, launch
from PIL import Image

from dla_jax.config.checks import ConfigError
from dla_jax.data import images
from dla_jax.models import mlp
from dla_jax.studies.cam.network_maps import check_layer

SETTINGS = {
    "--config.image=nowhere.jpg": ["no file or folder nowhere.jpg"],
    "--config.num_shown=1": ["another_image needs two images"],
    "--config.layer=blocks/9": ["layer: unknown 'blocks/9'", "known: blocks/0, last_conv"],
    "--config.layer=blocks/0": [
        "cam, random_cam, another_image need",
        "cam.py:method=grad_cam",
    ],
    "--config.methods=cam,gradcam": ["methods: unknown 'gradcam'", "did you mean 'grad_cam'"],
    "--config.methods=edges,cam": [
        "methods: edges is the first",
        "give cam or grad_cam or hires_cam",
    ],
    "--config.network=residual": ["network: unknown 'residual'", "residual-2"],
    "--config.num_scored=0": ["num_scored"],
    "--config.scale=0.5": ["scale: 0.5 must be at least 1"],
    "--config.canvas=3": ["canvas", "rows, columns"],
    "--config.experiment=cam_photos": ["experiment: unknown 'cam_photos'"],
}
MADE = {
    "--config.layer=nonsense": ["layer: unknown 'nonsense'"],
    "--config.layer=blocks/0": ["cam, random_cam, another_image need"],
    "--config.network=plain-9": ["network: unknown 'plain-9'"],
}


@pytest.fixture(scope="module")
def study(smoke):
    return smoke("cam")[0] / "study"


def assert_each_refused(wrong):
    for line, answer in answers_to(wrong).items():
        assert_refused(answer, wrong[line])


def test_a_network_without_a_convolution_has_no_map():
    model = mlp.MLP(
        depth=2,
        width=4,
        num_classes=10,
        mean=(0.5,),
        std=(0.5,),
        norm="none",
        init_scheme="he",
        dtype="float32",
    )
    with pytest.raises(ConfigError, match=r"mine has no convolution.*--config\.network="):
        check_layer(model, (8, 8, 1), "last_conv", "mine")


def test_wrong_sources_are_one_line_and_exit_code_2(smoke, study, tmp_path):
    cam, made = "--config=configs/cam.py", "--config=configs/cam.py:smoke"
    kinds = ["no classifier of images, but language", "depth"]
    assert_each_refused(
        {
            cam: ["--from is missing", "--from=runs/try1"],
            f"{made} --from={study}": ["--from", "leave it out"],
            f"{cam} --from={smoke('dante')[0]}": kinds,
            f"{cam} --from={tmp_path}": ["no workdir of this project"],
        }
    )


def test_wrong_settings_are_one_line_and_exit_code_2(study):
    cam, made = f"--config=configs/cam.py --from={study}", "--config=configs/cam.py:smoke"
    method = f"--config=configs/cam.py:method=gradcam --from={study}"
    assert_each_refused(
        {f"{cam} {setting}": words for setting, words in SETTINGS.items()}
        | {f"{made} {setting}": words for setting, words in MADE.items()}
        | {method: ["method", "did you mean 'grad_cam'"]}
    )


def test_wrong_photos_are_one_line_and_exit_code_2(study, tmp_path):
    empty, text, long = tmp_path / "empty", tmp_path / "text.png", tmp_path / "long.png"
    empty.mkdir()
    text.write_text("no image")
    Image.new("RGB", (100, 2)).save(long)
    image = f"--config=configs/cam.py --from={study} --config.image="
    endings = ".jpg, .jpeg, .jfif, .png, .webp, .bmp, .gif, .tif, .tiff"
    assert_each_refused(
        {
            f"{image}{text}": [str(text), "no image that can be read"],
            f"{image}{empty}": [f"no image ({endings}) in", "give another folder, or a file"],
            f"{image}{long}": ["100x2 pixels", "cut it"],
            f"{image}{tmp_path}": ["long.png is 100x2", "and 1 more of 2"],
        }
    )


def test_the_same_images_with_other_pixels_are_refused(study, tmp_path):
    copy, workdir = tmp_path / "study", tmp_path / "run"
    shutil.copytree(study, copy)
    path, fingerprint = copy / "config.json", images.digits().identity["fingerprint"]
    path.write_text(path.read_text().replace(fingerprint, "0" * 16))
    answer = launch("--config=configs/cam.py", f"--from={copy}", f"--workdir={workdir}")
    assert answer.code == 2 and "others than when" in answer.err and not workdir.exists()
