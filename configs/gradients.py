"""Does the gradient of a deep plain net vanish, and does a skip keep it from vanishing and exploding?

Lab B watches the first convolution of its 48-layer nets, lab C mean and variance of the gradient of each stage of ResNet-34 and
of the same net without skips, lab E the mean absolute gradient of the last dense layer over 150 batches. Papers: He et al. 2015,
arXiv:1512.03385, section 4.1; Balduzzi et al. 2017, arXiv:1702.08591.

    python launch.py --config=configs/gradients.py                # CIFAR-10, lab B's net of "48" layers; for a GPU
    python launch.py --config=configs/gradients.py:lab_c          # CIFAR-10, ResNet-34 and its plain twin; for a GPU
    python launch.py --config=configs/gradients.py:digits         # about 3.5 minutes on 2 CPU cores
    python launch.py --config=configs/gradients.py:quick          # about a minute: 15 layers, five networks
    python launch.py --config=configs/gradients.py:smoke          # seconds, to see that it runs

Result of `digits` (531 s of CPU on 2 cores of an AMD EPYC, 6 seeds): with BatchNorm the plain net's gradient does not vanish
on its way to the first layer: before the first step it grows tenfold, over the run it stays as large. That of the last dense
layer falls in the residual net (97.9 %), not in the plain one (86.0 %). Without norm and clipping the residual net's
gradient explodes. All of it, and what was run on CIFAR-10: docs/results.md.
"""

import math
import re

from ml_collections import ConfigDict

from configs import rescnn
from configs.claims.depth import LAB_B, LAB_E
from dla_jax.config.arguments import parse_argument
from dla_jax.evidence.claims import alone, answerable, claim, difference

PRESETS = ("cifar10", "lab_c", "digits", "quick", "smoke")
PLAIN, RESIDUAL = {"model": {"skip": False}}, {"model": {"skip": True}}
# Each net has its own best rate, and a gradient depends on it: so each of the pair also runs at the rate of the other.
SAME_RATE = {
    "plain_same_rate": PLAIN | {"lr_of": "residual"},
    "residual_same_rate": RESIDUAL | {"lr_of": "plain"},
}
CLIPPED, FROZEN = {"optim": {"clip_norm": 1.0}}, {"freeze_norm_after_epochs": 1}


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset; every network is the config with its own overrides."""
    preset = parse_argument(argument, PRESETS).preset
    config = base()
    {"cifar10": cifar10, "lab_c": lab_c, "digits": digits, "quick": quick, "smoke": smoke}[preset](
        config
    )
    config.reported = ConfigDict(
        {
            name: "only pictures" if name in ("plain", "residual") else "not in the labs"
            for name in config.networks
        }
    )
    config.claims = claims(config.networks.keys())
    return config


def base() -> ConfigDict:
    """Every key, with the values that most presets share."""
    config = rescnn.networks_base("gradients")
    config.question = "Does the gradient vanish in the plain net, and neither vanish nor explode in the residual one?"
    config.pair = ("plain", "residual")  # which the labs look at
    config.trace_first_steps = 150  # that have a row each, as lab E watches them
    config.probe_every_steps = 25  # the gradient on a batch that stays the same
    config.max_histograms = 20  # of each layer in a run
    config.networks = ConfigDict(
        {
            "plain": PLAIN,
            "residual": RESIDUAL,
            "plain_clipped": PLAIN | CLIPPED,
            "residual_clipped": RESIDUAL | CLIPPED,
            "plain_frozen_norm": PLAIN | FROZEN,
            "residual_frozen_norm": RESIDUAL | FROZEN,
        }
        | SAME_RATE
    )
    config.lrs = (3e-3, 1e-2, 3e-2, 1e-1)
    # Momentum, not Adam or Lion: they divide the size of a gradient out again, and clipping would change next to nothing.
    config.optim.update(
        {
            "name": "sgd",
            "schedule": "one_cycle",
            "warmup_fraction": 0.2,
            "clip_norm": 0.0,
            "weight_decay": 5e-4,
        }
    )
    config.log_every_steps = 100
    return config


def cifar10(config: ConfigDict) -> None:
    """Lab B's deepest net, its ReLU after the addition: 49 convolutions and 3 dense layers."""
    config.model = ConfigDict(
        {
            "name": "lab_b",
            "norm": "batch",
            "init": "torch_default",
            "skip": True,
            "depth": 48,
            "as_implemented": False,
        }
    )
    config.networks.update(shallower(17, 9))


def lab_c(config: ConfigDict) -> None:
    """Lab C's nets, each of the 16 blocks with a skip or none, shortcuts without parameters."""
    config.model = ConfigDict(rescnn.resnet(skip=True, depth=34, plain_stages=()))


def shallower(*depths: int) -> dict[str, dict]:
    """The pair at smaller depths, each at the rate of its deep twin: nothing is chosen for them."""
    return {
        f"{name}_{depth}": {"model": {"skip": name == "residual", "depth": depth}, "lr_of": name}
        for depth in depths
        for name in ("plain", "residual")
    }


def digits(config: ConfigDict) -> None:
    """The embedded set, CNNs of 25 layers: with BatchNorm, as in the labs, and without norm, where nothing keeps a signal in
    bounds but clipping."""
    config.data.update(
        {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2, "pad": 0, "flip": False}
    )
    config.model = ConfigDict(
        {
            "name": "cnn",
            "norm": "batch",
            "init": "he",
            "skip": True,
            "depth": 25,
            "width": 16,
            "pools": 1,
        }
    )
    bare = lambda skip, init="he": {"model": {"skip": skip, "norm": "none", "init": init}}
    del config.networks.plain_frozen_norm
    config.networks.update(
        {
            "plain_no_norm": bare(False) | CLIPPED,
            "residual_no_norm": bare(True) | CLIPPED,
            # It explodes at rates that the others learn with.
            "residual_no_norm_unclipped": bare(True) | {"lrs": (1e-3, 3e-3, 1e-2)},
            # It guesses at every rate that was tried, and what is asked of it is its gradient before the first step.
            "plain_no_norm_torch_default": bare(False, "torch_default")
            | {"optim": {"clip_norm": 1.0, "lr": 0.03}},
        }
    )
    # Two selection seeds; for them went 1e-3, which none chose, and of all but the pair the rates far from what they chose.
    config.lrs, config.select_seeds = (1e-2, 3e-2, 1e-1, 3e-1), (100, 101)
    for rates, names in (
        ((3e-3, 1e-2, 3e-2), ("residual_frozen_norm",)),
        ((1e-2, 3e-2, 1e-1), ("plain_no_norm",)),
        ((3e-2, 1e-1, 3e-1), ("plain_clipped", "residual_clipped", "residual_no_norm")),
    ):
        for name in names:
            config.networks[name].lrs = rates
    config.networks.update(shallower(10, 5))
    config.num_epochs, config.batch_size, config.probe_every_steps = 9, 64, 10
    config.log_every_steps, config.checkpoint_every_steps = 10, 0  # a run of seconds starts again


def quick(config: ConfigDict) -> None:
    """About a minute: fewer networks and epochs."""
    digits(config)
    config.model.depth, config.lrs, config.select_seeds, config.num_epochs = (
        15,
        (1e-2, 3e-2, 1e-1),
        (100,),
        4,
    )
    for name in (
        "plain_clipped",
        "residual_clipped",
        "residual_frozen_norm",
        "plain_no_norm",
        *SAME_RATE,
        *shallower(10, 5),
    ):
        del config.networks[name]


def smoke(config: ConfigDict) -> None:
    """Seconds."""
    digits(config)
    config.model.update({"depth": 5, "width": 4})
    config.seeds, config.lrs, config.select_seeds, config.num_epochs = (
        (0, 1),
        (1e-2, 3e-2),
        (100,),
        2,
    )
    config.trace_first_steps, config.probe_every_steps, config.max_histograms = 20, 10, 3
    for name in (
        "plain_clipped",
        "plain_no_norm",
        "residual_no_norm_unclipped",
        "plain_no_norm_torch_default",
        "residual_same_rate",
        *shallower(10, 5),
    ):
        del config.networks[name]
    for network in config.networks.values():
        if "lrs" in network:
            del network.lrs


def claims(networks) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run.

    Values of a run, in decades (powers of ten). A layer's gradient is the norm of the gradient of its kernel over the norm of the
    kernel, on the probe batch (`experiments/gradients_report.py: measure`).

    - first_size: log10 of mean |g| of the first convolution, mean from start to end: its size, relative to nothing;
    - first_layer: log10 of the first convolution's over the last convolution's, mean from start to end;
    - above_vanishing: the same + 1: negative where the first has less than a tenth of the last;
    - below_exploding: 1 - the same: negative where the first has more than ten times the last;
    - start_first_layer, start_above_vanishing, start_below_exploding: these before the first step;
    - last_dense: of mean |g| of the last dense layer, the last tenth of the first steps over their first tenth, + 1: negative
      where it loses nine tenths;
    - last_val_accuracy: no decades; validation accuracy after the last epoch, since the best one may come before the harm;
    - bounded: 2 - log10 of the largest norm of the whole gradient in the first steps: negative beyond 100, -10 when it diverged.
    """
    decades = lambda value: {"value": value, "unit": "decades", "margin": 0.05}
    watched = "pictures: the first convolution's histogram, about ±400 without and −2000 to +8000 with skips (scaled, see below)"
    tends = "the gradient of the CNN tends to zero, that of the ResCNN does not (one run)"
    clips = 'a run "with clipping", in which nothing was clipped'
    same = "at every depth the same (one run each)"
    depths = [name.removeprefix("plain") for name in networks if re.fullmatch(r"plain_\d+", name)]
    no_norm = "hypothesis", "not reported; labs A to D have BatchNorm in all their CNNs"
    found = {
        "a_skip_keeps_the_gradient": claim(
            "Over training a skip keeps more gradient in the first convolution, relative to the last one",
            LAB_B,
            watched,
            difference("residual", "plain"),
            **decades("first_layer"),
        ),
        "a_skip_keeps_the_gradient_at_one_rate": claim(
            "Over training it does so at the same learning rate, that of the plain net as well as that of the residual one",
            "hypothesis",
            "not reported",
            difference("residual_same_rate", "plain"),
            difference("residual", "plain_same_rate"),
            **decades("first_layer"),
        ),
        "a_skip_keeps_the_gradient_at_the_start": claim(
            "Before the first step, too, a skip keeps more gradient in the first convolution, relative to the last one",
            "hypothesis",
            "not reported",
            difference("residual", "plain"),
            **decades("start_first_layer"),
        ),
        "a_skip_makes_it_larger": claim(
            "Over training, each net at its own rate, a skip makes the first convolution's gradient at least five times as large",
            LAB_B,
            watched,
            difference("residual", "plain"),
            threshold=math.log10(5),
            **decades("first_size"),
        ),
        "a_skip_makes_it_larger_backward": claim(
            "In the net with skips the gradient, relative to the weights, grows backward: over training it is larger in the "
            "first convolution than in the last",
            LAB_B,
            "pictures: it grows towards the first layer",
            alone("residual"),
            **decades("first_layer"),
        ),
        "b_start_plain_vanishes": claim(
            "Before the first step the plain net's first convolution has, relative to its weights, less than a tenth of the "
            "gradient of the last one",
            LAB_B,
            watched,
            alone("plain"),
            direction="<",
            **decades("start_above_vanishing"),
        ),
        "b_train_plain_vanishes": claim(
            "On average over training, too, it has less than a tenth",
            LAB_B,
            watched,
            alone("plain"),
            direction="<",
            **decades("above_vanishing"),
        ),
        "c_residual_does_not_vanish": claim(
            "Over training the residual net's first convolution has, relative to its weights, more than a tenth of the "
            "gradient of the last one",
            LAB_E,
            tends,
            alone("residual"),
            **decades("above_vanishing"),
        ),
        "d_residual_does_not_explode": claim(
            "Over training it has less than ten times the last one's",
            LAB_E,
            tends,
            alone("residual"),
            **decades("below_exploding"),
        ),
        "e_residual_stays_bounded": claim(
            "In the first steps the norm of the residual net's gradient stays below 100 in the median run",
            LAB_E,
            tends,
            alone("residual"),
            **decades("bounded"),
        ),
        "f_plain_tends_to_zero": claim(
            "Within the first batches the plain net's last dense layer loses nine tenths of its mean absolute gradient",
            LAB_E,
            tends,
            alone("plain"),
            direction="<",
            **decades("last_dense"),
        ),
        "g_residual_does_not": claim(
            "The residual net's last dense layer keeps more than a tenth",
            LAB_E,
            tends,
            alone("residual"),
            **decades("last_dense"),
        ),
        "f_plain_tends_to_zero_at_one_rate": claim(
            "At the residual net's learning rate, too, the plain net's last dense layer loses nine tenths",
            LAB_E,
            tends,
            alone("plain_same_rate"),
            direction="<",
            **decades("last_dense"),
        ),
        "g_residual_does_not_at_one_rate": claim(
            "At the plain net's learning rate, too, the residual net's last dense layer keeps more than a tenth",
            LAB_E,
            tends,
            alone("residual_same_rate"),
            **decades("last_dense"),
        ),
        "f_plain_tends_to_zero_at_every_depth": claim(
            "At every depth the plain net's last dense layer loses nine tenths",
            LAB_E,
            same,
            *map(alone, ("plain", *(f"plain{depth}" for depth in depths))),
            direction="<",
            **decades("last_dense"),
        ),
        "g_residual_does_not_at_any_depth": claim(
            "At every depth the residual net's last dense layer keeps more than a tenth",
            LAB_E,
            same,
            *map(alone, ("residual", *(f"residual{depth}" for depth in depths))),
            **decades("last_dense"),
        ),
        "h_clipping_plain": claim(
            "Clipping makes the plain net better",
            LAB_B,
            clips,
            difference("plain_clipped", "plain"),
        ),
        "i_clipping_residual": claim(
            "Clipping makes the residual net better",
            LAB_B,
            clips,
            difference("residual_clipped", "residual"),
        ),
        "j_frozen_norm": claim(
            "BatchNorm left in evaluation mode after the first epoch makes the residual net worse",
            "hypothesis",
            "not reported; all runs of lab C are so",
            difference("residual_frozen_norm", "residual"),
            direction="<",
            value="last_val_accuracy",
        ),
        "k_no_norm_plain_vanishes": claim(
            "Without norm, He initialisation: before the first step the plain net's first convolution has less than a tenth",
            *no_norm,
            alone("plain_no_norm"),
            direction="<",
            **decades("start_above_vanishing"),
        ),
        "l_torch_default_vanishes": claim(
            "Without norm, PyTorch's default initialisation: before the first step it has less than a tenth",
            "hypothesis",
            "not reported; labs A to C keep the default",
            alone("plain_no_norm_torch_default"),
            direction="<",
            **decades("start_above_vanishing"),
        ),
        "m_no_norm_residual_stays_bounded": claim(
            "Without norm and clipping the residual net's gradient stays below 100 in the first steps of the median run",
            *no_norm,
            alone("residual_no_norm_unclipped"),
            **decades("bounded"),
        ),
        "n_no_norm_clipping": claim(
            "Without norm, clipping makes the residual net better",
            *no_norm,
            difference("residual_no_norm", "residual_no_norm_unclipped"),
        ),
    }
    if not depths:
        del found["f_plain_tends_to_zero_at_every_depth"], found["g_residual_does_not_at_any_depth"]
    return answerable(found, networks)
