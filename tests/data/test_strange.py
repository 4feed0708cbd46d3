"""Strange images are what they are said to be, and those that cannot be had are refused."""

import numpy as np
import pytest
from pictures import fill, pixels, read
from PIL import Image
from prepared_folder import LABELS, TEST, write

from dla_jax.config.checks import ConfigError
from dla_jax.data import altered, photos, strange
from dla_jax.data.images import digits

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def make(kind, images=IMAGES, seed=0):
    given = images.copy()
    made = altered.make(kind, images, np.random.default_rng(seed))
    np.testing.assert_array_equal(images, given)
    assert made.dtype == np.uint8 and made.shape == images.shape
    return made


@pytest.mark.parametrize("kind", altered.MADE)
def test_a_seed_gives_the_same_images_and_only_what_is_drawn_changes_with_it(kind):
    first, again, other = make(kind), make(kind), make(kind, seed=1)
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (kind in ("inverted", "turned", "blurred"))
    assert (first != IMAGES).mean() > 0.5


def test_uniform_noise_has_every_level_as_often_and_no_pixel_tells_of_another():
    noise = make("uniform", np.zeros((1000, 8, 8, 3), np.uint8))
    counts = np.bincount(noise.reshape(-1), minlength=256)
    assert len(counts) == 256
    # 255 degrees of freedom: a chi-squared of 255, give or take 23
    assert abs(((counts - 750) ** 2 / 750).sum() - 255) < 5 * 23
    assert abs(np.corrcoef(noise.reshape(1000, -1)[:, :20].T) - np.eye(20)).max() < 0.2


def test_gaussian_noise_has_the_mean_and_the_deviation_of_each_channel():
    centres, spreads = np.array([100, 140, 125]), np.array([10, 20, 30])
    familiar = np.rint(centres + spreads * RNG.standard_normal((500, 8, 8, 3)))
    familiar = familiar.clip(0, 255).astype(np.uint8)
    noise = make("gaussian", familiar)
    np.testing.assert_allclose(noise.mean((0, 1, 2)), familiar.mean((0, 1, 2)), atol=0.8)
    np.testing.assert_allclose(noise.std((0, 1, 2)), familiar.std((0, 1, 2)), atol=0.6)
    assert abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.03


def test_gaussian_noise_is_rounded_and_clipped_not_wrapped():
    familiar = np.zeros((400, 8, 8, 1), np.uint8)
    familiar[::2] = 255  # a mean of 127.5, a standard deviation of as much
    noise = make("gaussian", familiar)
    assert abs((noise == 0).mean() - 0.16) < 0.01 and abs((noise == 255).mean() - 0.16) < 0.01
    grey = np.full((4, 8, 8, 1), 77, np.uint8)
    np.testing.assert_array_equal(make("gaussian", grey), grey)


def test_normals_become_bytes_as_in_pytorch():
    normals = [-3.9, -1.2, -1, -0.5, -0.003, 0, 0.5, 0.999, 1, 1.004, 1.005, 2.3]
    # torch.tensor(normals).mul(255).byte(), PyTorch 2.13
    bytes_ = [30, 206, 1, 129, 0, 0, 127, 254, 255, 0, 0, 74]
    given = np.array(normals, np.float32).reshape(3, 4)
    np.testing.assert_array_equal(altered.wrapped(given), np.array(bytes_).reshape(3, 4))
    noise = make("wrapped_gaussian", np.zeros((300, 8, 8, 3), np.uint8))
    drawn = np.random.default_rng(0).standard_normal(noise.shape, np.float32)
    expected = np.trunc(drawn * np.float32(255)) % 256
    np.testing.assert_array_equal(noise, expected)
    assert abs(noise.mean() - 127.5) < 1.5  # the levels are nearly as often, as if uniform


def test_permuted_images_keep_their_own_pixels_each_in_an_order_of_its_own():
    made = make("permuted")
    for image, own in zip(IMAGES.reshape(6, 64, 3), made.reshape(6, 64, 3), strict=True):
        assert sorted(map(tuple, image)) == sorted(map(tuple, own))
        assert (image != own).any(axis=-1).mean() > 0.8
    number = np.tile(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1), (50, 1, 1, 1))
    orders = make("permuted", number).reshape(50, 64)
    assert len(np.unique(orders, axis=0)) == 50
    assert abs(orders.mean(axis=0) - 31.5).max() < 5 * 18.5 / np.sqrt(50)  # anywhere, alike


def test_inverted_images_are_negatives():
    np.testing.assert_array_equal(make("inverted"), 255 - IMAGES.astype(int))


def test_turned_images_are_turned_counter_clockwise():
    made = make("turned")
    for image, own in zip(IMAGES, made, strict=True):
        np.testing.assert_array_equal(own, np.rot90(image))
    np.testing.assert_array_equal(made[:, 0, 0], IMAGES[:, 0, -1])  # top right goes to top left
    with pytest.raises(ConfigError) as caught:
        make("turned", IMAGES[:, :7, :, :1])
    assert str(caught.value) == (
        "strange set turned: images of 7x8 are not square, and turned by 90 degrees they have "
        "another shape; leave it out"
    )


def test_blurred_images_are_those_of_each_image_and_channel_alone(monkeypatch):
    monkeypatch.setattr(altered, "BLOCK", 4)
    made = make("blurred")
    for image, own in zip(IMAGES, made, strict=True):
        np.testing.assert_array_equal(altered.blurred(image[None])[0], own)
        for channel in range(3):
            alone = altered.blurred(image[None, :, :, channel, None])[0, ..., 0]
            np.testing.assert_array_equal(alone, own[..., channel])
    red = IMAGES * np.array([1, 0, 0], np.uint8)
    assert make("blurred", red)[..., 0].any() and not make("blurred", red)[..., 1:].any()
    constant = np.full((2, 8, 8, 3), 201, np.uint8)
    np.testing.assert_array_equal(make("blurred", constant), constant)


def test_the_blur_is_a_gaussian_of_an_eighth_of_the_shorter_side():
    point = np.zeros((1, 16, 24, 1), np.uint8)
    point[0, 8, 12, 0] = 255
    far = np.arange(-4, 5)
    weights = np.exp(-(far**2) / (2 * 2**2))
    weights /= np.exp(-(np.arange(-8, 9) ** 2) / 8).sum()
    around = make("blurred", point)[0, 4:13, 8:17, 0]
    np.testing.assert_allclose(around, 255 * np.outer(weights, weights), atol=0.51)
    edge = np.zeros((1, 16, 16, 1), np.uint8)
    edge[0, 0] = 255  # beyond the border it goes on
    down = make("blurred", edge)[0, :3, 5, 0]
    far = np.exp(-(np.arange(-8, 9) ** 2) / 8)
    np.testing.assert_allclose(down, [255 * far[: 9 - i].sum() / far.sum() for i in range(3)], 0.01)


def test_blurred_digits_and_turned_ones_are_other_images():
    some = digits().images[:100]
    for kind in ("blurred", "turned", "inverted", "permuted"):
        difference = np.abs(make(kind, some).astype(float) - some).mean((1, 2, 3))
        assert difference.min() > 20, kind  # of 255


def test_what_fits_is_not_touched_and_what_does_not_is_refused():
    assert strange.fit_shape(IMAGES, (8, 8, 3), False, "svhn_cropped") is IMAGES
    with pytest.raises(ConfigError) as caught:
        strange.fit_shape(np.zeros((2, 28, 28, 1), np.uint8), (32, 32, 3), False, "mnist")
    assert str(caught.value) == (
        "strange set mnist: images of 28x28x1, and the network takes 32x32x3; "
        "resize them with --config.resize=true, or leave it out"
    )


@pytest.mark.parametrize("given", [(28, 28, 1), (5, 9, 3), (32, 32, 1), (64, 48, 3)])
@pytest.mark.parametrize("shape", [(32, 32, 3), (12, 10, 1)])
def test_images_are_resized_one_by_one_bilinearly(given, shape):
    images = RNG.integers(0, 256, (3, *given)).astype(np.uint8)
    fitted = strange.fit_shape(images, shape, True, "x")
    assert fitted.dtype == np.uint8 and fitted.shape == (3, *shape)
    for image, own in zip(images, fitted, strict=True):
        colour = Image.fromarray(np.broadcast_to(image, (*given[:2], 3)).copy())
        scaled = np.asarray(colour.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
        grey = given[2] == 1 or shape[2] == 1
        expected = photos.grey(scaled) if grey else scaled
        np.testing.assert_array_equal(own, np.broadcast_to(expected, shape))
    constant = np.full((1, *given), 201, np.uint8)
    assert (strange.fit_shape(constant, shape, True, "x") == 201).all()


def test_a_name_is_a_set_and_perhaps_classes_of_it():
    assert strange.parse("cifar100") == ("cifar100", ())
    assert strange.parse("cifar100/bottle") == ("cifar100", ("bottle",))
    assert strange.parse("cifar100/bottle+clock") == ("cifar100", ("bottle", "clock"))
    assert strange.parse("fashion_mnist/T-shirt/top+Bag") == (
        "fashion_mnist",
        ("T-shirt/top", "Bag"),
    )


def load(name, data_dir=None, most=100, shape=(6, 5, 3), resize=False, path=None, seed=0):
    rng = np.random.default_rng(seed)
    return strange.load(name, data_dir, False, shape, resize, path, most, rng)


def test_of_a_prepared_set_only_test_images_of_the_named_classes_are_taken(tmp_path):
    write(tmp_path, name="cifar100")
    np.testing.assert_array_equal(load("cifar100", tmp_path), TEST)
    np.testing.assert_array_equal(load("cifar100/b b", tmp_path), TEST[LABELS["test"] == 1])
    two = load("cifar100/c+a", tmp_path)
    np.testing.assert_array_equal(two, TEST[LABELS["test"] != 1])
    with pytest.raises(ConfigError) as caught:
        load("cifar100/a+bb", tmp_path)
    assert str(caught.value) == (
        "strange set cifar100/a+bb: cifar100 has no class 'bb' (did you mean 'b b'?); "
        "known: a, b b, c"
    )


def test_images_are_drawn_without_replacement_and_resized(tmp_path):
    write(tmp_path, name="cifar100")
    place = {image.tobytes(): i for i, image in enumerate(TEST)}

    def drawn(seed):
        return [place[image.tobytes()] for image in load("cifar100", tmp_path, most=6, seed=seed)]

    draws = [drawn(seed) for seed in range(12)]
    assert all(len(set(each)) == 6 for each in draws) and len({tuple(each) for each in draws}) > 6
    assert set().union(*draws) == set(range(9)) and drawn(3) == draws[3]
    fitted = load("cifar100/a", tmp_path, shape=(8, 8, 1), resize=True)
    own = TEST[LABELS["test"] == 0]
    np.testing.assert_array_equal(fitted, strange.fit_shape(own, (8, 8, 1), True, "x"))
    with pytest.raises(
        ConfigError, match=r"^strange set cifar100/a: images of 6x5x3, and the netw"
    ):
        load("cifar100/a", tmp_path, shape=(8, 8, 1))


def test_of_a_folder_all_below_is_read_as_the_network_takes_it(tmp_path, capsys):
    root = fill(tmp_path / "mine", x=2, x__y=1)
    Image.fromarray(pixels(30, 20)).save(root / "tall.png")
    names = ["tall.png", "x/0.png", "x/1.png", "x/y/0.png"]
    found = load("folder", shape=(8, 8, 3), path=str(root))
    np.testing.assert_array_equal(found, read(root, names))
    assert load("folder", shape=(8, 8, 3), path=str(root), most=3).shape == (3, 8, 8, 3)
    assert capsys.readouterr().err == ""
    (root / "x" / "bad.png").write_text("no image")
    found = load("folder", shape=(8, 8, 1), path=str(root))
    np.testing.assert_array_equal(found, photos.grey(read(root, names)))
    line = f"strange set folder: 1 of 5 images of {root} cannot be read and are left out: x/bad.png"
    assert capsys.readouterr().err.startswith(f"{line} (cannot identify")


def test_a_folder_of_which_no_image_that_is_drawn_can_be_read_is_refused(tmp_path, monkeypatch):
    root = fill(tmp_path / "mine", x=1)
    (root / "bad.png").write_text("no image")
    first = lambda positions, most, rng: positions[:most]
    monkeypatch.setattr(strange, "draw", first)
    with pytest.raises(ConfigError) as caught:
        load("folder", shape=(8, 8, 3), path=str(root), most=1)
    words = f"strange set folder: 1 of 1 images of {root} cannot be read: bad.png (cannot identify"
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)
    assert str(caught.value).endswith("mend them, or give another folder")


def refused(tmp_path, *names, path=None):
    with pytest.raises(ConfigError) as caught:
        strange.check_names("reported", names, tmp_path, False, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sets_that_can_be_had_pass(tmp_path):
    write(tmp_path, name="cifar100")
    root = fill(tmp_path / "mine", x=1)
    names = ("left_out", *altered.MADE, "cifar100", "cifar100/a+c", "folder")
    strange.check_names("reported", names, tmp_path, False, str(root))
    strange.check_names("reported", (), tmp_path, False, None)
    assert not (tmp_path / "cifar100" / "3.0.2" / ".dla_jax").exists()  # nothing is decoded


def test_sets_that_cannot_be_had_are_refused_with_what_to_do(tmp_path):
    write(tmp_path, name="cifar100")
    say = lambda *names, **how: refused(tmp_path, *names, **how)
    assert "reported: unknown 'gausian' (did you mean 'gaussian'?); known: left_out, uniform," in (
        say("uniform", "gausian")
    )
    assert say("uniform", "uniform") == ("reported: 'uniform' is given twice; give each value once")
    assert say("turned/a") == (
        "reported: turned/a: turned has no classes to choose from; give turned alone"
    )
    assert say("cifar100/a+bb") == (
        "reported: cifar100 has no class 'bb' (did you mean 'b b'?); known: a, b b, c"
    )
    assert say("cifar100/") == "reported: cifar100 has no class ''; known: a, b b, c"
    missing = f"reported: svhn_cropped is not in {tmp_path / 'svhn_cropped'}/<version>; "
    assert say("svhn_cropped") == missing + (
        "give another --data_dir=FOLDER, or fetch it with --download"
    )
    assert (
        say("folder") == "reported: folder needs the path of your images; give it, or leave it out"
    )
    nowhere = str(tmp_path / "nowhere")
    assert say("folder", path=nowhere) == (
        f"reported: folder: there is no file or folder {nowhere}"
    )
    (tmp_path / "empty").mkdir()
    words = say("folder", path=str(tmp_path / "empty"))
    assert words.startswith("reported: folder: no image (.jpg, ") and "another folder" in words
    (tmp_path / "empty" / "bad.png").write_text("no image")
    words = say("folder", path=str(tmp_path / "empty"))
    assert "reported: folder: " in words and "bad.png is no image that can be read (" in words
    with pytest.raises(ConfigError, match="unknown 'left_out'"):
        strange.check_names("tuning", ("left_out",), tmp_path, False, None, also=())
    with pytest.raises(ConfigError, match=r"strange set: unknown 'blured' .*'blurred'"):
        make("blured")
