"""Does the gradient of a deep plain net vanish, and does a skip keep it from vanishing and exploding?

Lab B watches the first convolution of its 48-layer nets, lab C mean and variance of the gradient of each stage of ResNet-34 and
of the same net without skips, lab E the mean absolute gradient of the last dense layer over 150 batches. Papers: He et al. 2015,
arXiv:1512.03385, section 4.1; Balduzzi et al. 2017, arXiv:1702.08591.

    python launch.py --config=configs/gradients.py                # CIFAR-10, lab B's net of "48" layers; for a GPU
    python launch.py --config=configs/gradients.py:lab_c          # CIFAR-10, ResNet-34 and its plain twin; for a GPU
    python launch.py --config=configs/gradients.py:digits         # about 2 minutes on 2 CPU cores
    python launch.py --config=configs/gradients.py:smoke          # seconds, to see that it runs
"""

from ml_collections import ConfigDict

from configs import rescnn
from configs.rescnn import LAB_B, LAB_C, LAB_E, claim, difference
from dla_jax.config import parse_argument

PRESETS = ("cifar10", "lab_c", "digits", "smoke")
PLAIN, RESIDUAL = {"model": {"skip": False}}, {"model": {"skip": True}}
CLIPPED, FROZEN = {"optim": {"clip_norm": 1.0}}, {"freeze_norm_after_epochs": 1}


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset; every network is the config with its own overrides."""
    preset = parse_argument(argument, PRESETS).preset
    config = base()
    {"cifar10": cifar10, "lab_c": lab_c, "digits": digits, "smoke": smoke}[preset](config)
    config.reported = ConfigDict({name: "only pictures" if name in ("plain", "residual") else "not in the labs"
                                  for name in config.networks})  # fmt: skip
    config.claims = claims(config.networks.keys())
    return config


def base() -> ConfigDict:
    """Every key, with the values that most presets share."""
    config = rescnn.base()
    for key in ("depths", "reference_depth", "arms", "side_arms", "side_depths", "side_seeds"):
        del config[key]
    config.experiment = "gradients"
    config.question = "Does the gradient vanish in the plain net, and neither vanish nor explode in the residual one?"
    config.trace_first_steps = 150  # that have a row each, as lab E watches them
    config.probe_every_steps = 25  # the gradient on a batch that stays the same
    config.max_histograms = 20  # of each layer in a run
    config.networks = ConfigDict({"plain": PLAIN, "residual": RESIDUAL, "plain_clipped": PLAIN | CLIPPED,
                                  "residual_clipped": RESIDUAL | CLIPPED, "plain_frozen_norm": PLAIN | FROZEN,
                                  "residual_frozen_norm": RESIDUAL | FROZEN})  # fmt: skip
    config.lrs = (1e-2, 3e-2, 1e-1)
    # Momentum, not Adam or Lion: they divide the size of a gradient out again, and clipping would change next to nothing.
    config.optim.update({"name": "sgd", "schedule": "one_cycle", "warmup_fraction": 0.2, "clip_norm": 0.0, "weight_decay": 5e-4})
    config.log_every_steps = 100
    return config


def cifar10(config: ConfigDict) -> None:
    """Lab B's deepest net, its ReLU after the addition: 49 convolutions and 3 dense layers."""
    config.model = ConfigDict({"name": "lab_b", "norm": "batch", "init": "torch_default", "skip": True, "depth": 48,
                               "as_implemented": False})  # fmt: skip


def lab_c(config: ConfigDict) -> None:
    """Lab C's nets, each of the 16 blocks with a skip or none, shortcuts without parameters."""
    config.model = ConfigDict({"name": "resnet", "norm": "batch", "init": "he", "skip": True, "depth": 34, "bottleneck": False,
                               "projection": False, "plain_stages": ()})  # fmt: skip


def digits(config: ConfigDict) -> None:
    """The embedded set: CNNs without norm, whose gradient nothing keeps in bounds, and with BatchNorm beside them."""
    config.data.update({"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2, "pad": 0, "flip": False})
    config.model = ConfigDict({"name": "cnn", "norm": "none", "init": "he", "skip": True, "depth": 25, "width": 16, "pools": 1})
    norm = lambda skip: {"model": {"skip": skip, "norm": "batch"}}  # noqa: E731
    config.networks = ConfigDict({
        "plain": PLAIN, "residual": RESIDUAL, "plain_clipped": PLAIN | CLIPPED, "residual_clipped": RESIDUAL | CLIPPED,
        "plain_torch_default": {"model": {"skip": False, "init": "torch_default"}}, "plain_norm": norm(False),
        "residual_norm": norm(True), "residual_frozen_norm": norm(True) | FROZEN})  # fmt: skip
    config.num_epochs, config.batch_size = 9, 64
    config.log_every_steps, config.checkpoint_every_steps = 10, 0  # a run of seconds starts again


def smoke(config: ConfigDict) -> None:
    """Seconds."""
    digits(config)
    config.model.update({"depth": 5, "width": 4})
    config.seeds, config.lrs, config.num_epochs = (0, 1), (1e-2, 3e-2), 2
    config.trace_first_steps, config.probe_every_steps, config.max_histograms = 20, 10, 3


def claims(networks) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run.

    Values of a run, in decades (powers of ten), from the probe batch; a layer's gradient is the norm of the gradient of its
    kernel over the norm of the kernel (`experiments/gradients_report.py: measure`):

    - first_layer: log10 of the first convolution's over the last convolution's, mean from start to end;
    - above_vanishing: the same + 1, so negative where the first has less than a tenth of the last;
    - start_above_vanishing: that before the first step;
    - below_exploding: 1 - first_layer, so negative where the first has more than ten times the last;
    - last_dense: + 1 as well, of mean |g| of the last dense layer, the last tenth of the first steps over their first tenth.
    """
    alone = lambda network: ((1.0, network),)  # noqa: E731
    in_decades = {"unit": "decades", "margin": 0.05}
    watched = "pictures: the histogram of the first convolution, +-400 without, +8000 to -2000 with skips (scaled, see below)"
    tends = "the gradient of the CNN tends to zero, that of the ResCNN does not (one run)"
    found = {
        "a_skip_keeps_the_gradient": claim(
            "A skip keeps more of the gradient for the first layer", LAB_B, watched, difference("residual", "plain"),
            value="first_layer", **in_decades),
        "b_plain_vanishes": claim(
            "In the plain net the first layer's gradient is less than a tenth of the last one's", LAB_B, watched, alone("plain"),
            direction="<", value="above_vanishing", **in_decades),
        "b_plain_vanishes_at_start": claim(
            "... and that is so before the first step", LAB_B, watched, alone("plain"), direction="<",
            value="start_above_vanishing", **in_decades),
        "c_residual_does_not_vanish": claim(
            "In the residual net it is more than a tenth", LAB_E, tends, alone("residual"), value="above_vanishing",
            **in_decades),
        "d_residual_does_not_explode": claim(
            "In the residual net it is less than ten times the last one's", LAB_E, tends, alone("residual"),
            value="below_exploding", **in_decades),
        "e_plain_tends_to_zero": claim(
            "Within the first batches the plain net's last dense layer loses nine tenths of its mean absolute gradient", LAB_E,
            tends, alone("plain"), direction="<", value="last_dense", **in_decades),
        "f_residual_does_not": claim(
            "The residual net's last dense layer keeps more than a tenth", LAB_E, tends, alone("residual"), value="last_dense",
            **in_decades),
        "g_torch_initialisation": claim(
            "With PyTorch's default initialisation the plain net's gradient vanishes before the first step", "hypothesis",
            "not reported; labs A to C keep the default", alone("plain_torch_default"), direction="<",
            value="start_above_vanishing", **in_decades),
        "h_norm_plain": claim(
            "With BatchNorm the plain net's gradient does not explode towards the first layer", "hypothesis, after Yang et al. "
            "2019, arXiv:1902.08129", "not reported; labs A to D use BatchNorm in all their CNNs", alone("plain_norm"),
            value="below_exploding", **in_decades),
        "i_clipping_plain": claim(
            "Clipping the gradient makes the plain net better", LAB_B, "a run \"with clipping\", in which nothing was clipped",
            difference("plain_clipped", "plain")),
        "j_clipping_residual": claim(
            "Clipping the gradient makes the residual net better", LAB_B, "a run \"with clipping\", in which nothing was clipped",
            difference("residual_clipped", "residual")),
        "k_frozen_norm": claim(
            "BatchNorm left in evaluation mode after the first epoch makes the residual net worse", "hypothesis",
            f"not reported; all runs of {LAB_C.split(',')[0]} are so",
            difference("residual_frozen_norm", "residual_norm" if "residual_norm" in networks else "residual"), direction="<"),
    }  # fmt: skip
    return rescnn.answerable(found, networks)
