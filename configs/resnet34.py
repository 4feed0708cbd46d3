"""Do skips make a 34-layer net better, by how much, and what do they cost? Ten paired runs; and is an MLP of any use?

Lab C trains an MLP, ResNet-34, the same net without skips ("ConvNet34") and ResNet-50 on CIFAR-10, then the middle two ten times
for 20 epochs. Papers: He et al. 2015, arXiv:1512.03385.

    python launch.py --config=configs/resnet34.py                 # CIFAR-10, each at its own learning rate; for a GPU
    python launch.py --config=configs/resnet34.py:cifar10,as_implemented=true     # with the lab's recipe and slips; for a GPU
    python launch.py --config=configs/resnet34.py:digits          # small nets; about 3 minutes on 2 CPU cores
    python launch.py --config=configs/resnet34.py:quick           # about a minute: 8 layers, six paired runs
    python launch.py --config=configs/resnet34.py:smoke           # seconds, to see that it runs

Result of `digits` (399 s of CPU on 2 cores of an AMD EPYC): with skips 98.1 % [97.8, 98.3], without 97.6 % [97.0, 98.2], a
difference of 0.5 points [-0.2, 1.2] in ten paired runs; the MLP reaches 95.7 % [94.4, 97.1], with lab C's ReLU behind its
logits 66.3 % [42.2, 90.4]. All of it, and what was run on CIFAR-10: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import mlp, rescnn
from configs.claims.depth import LAB_C
from dla_jax.config.arguments import parse_argument
from dla_jax.config.checks import check
from dla_jax.evidence.claims import alone, answerable, claim, difference

REPORTED = {
    "mlp_relu_logits": "completely ineffective",
    "convnet": "no figure",
    "resnet": "better than ConvNet34, no figure",
    "resnet_bottleneck": "no particular difference to ResNet34",
}


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset; every network is the config with its own overrides."""
    given = parse_argument(argument, ("cifar10", "digits", "quick", "smoke"), as_implemented=False)
    check(
        given.preset == "cifar10" or not given.as_implemented,
        f"config argument as_implemented: {given.preset} has no other version; it is for cifar10",
    )
    config = base()
    {
        "cifar10": as_implemented if given.as_implemented else cifar10,
        "digits": digits,
        "quick": quick,
        "smoke": smoke,
    }[given.preset](config)
    config.claims = claims(config.networks.keys())
    return config


def base() -> ConfigDict:
    """Every key, with the values that most presets share."""
    config = rescnn.networks_base("architectures")
    config.question = "Do skips make a 34-layer net better, by how much, and what do they cost? And is an MLP of any use?"
    config.pair = ("convnet", "resnet")  # which the paired runs are about
    config.seeds = tuple(range(10))  # of that pair; 2/2^10 = .002 is the smallest p
    config.lrs = (0.03, 0.1, 0.3)
    config.optim.update(
        {
            "name": "sgd",
            "schedule": "one_cycle",
            "warmup_fraction": 0.3,
            "nesterov": True,
            "weight_decay": 5e-4,
            "clip_norm": 0.0,
        }
    )
    return config


def networks(depth: int, deeper: int, *widths: int) -> dict[str, dict]:
    """Nets of lab C and the matched twin of each residual one; `deeper` has bottlenecks. Beside the pair, 6 seeds each."""
    model = rescnn.resnet(skip=True, depth=depth, plain_stages=())
    bottleneck, fewer = model | {"depth": deeper, "bottleneck": True}, {"seeds": tuple(range(6))}
    dense = {"lrs": (0.01, 0.03, 0.1)} | fewer
    return {
        "mlp": dense | {"model": mlp.perceptron(*widths)},
        "mlp_relu_logits": dense | {"model": mlp.perceptron(*widths, relu_logits=True)},
        "convnet": {"model": model | {"skip": False}},
        "resnet": {"model": model},
        # The same function as convnet, for its time alone: at a rate that needs no search.
        "convnet_no_addition": fewer
        | {"model": model | {"skip": False, "shortcut": False}, "optim": {"lr": 0.1}},
        "resnet_plain_stage_1": {"model": model | {"plain_stages": (1,)}} | fewer,
        "convnet_bottleneck": {"model": bottleneck | {"skip": False}} | fewer,
        "resnet_bottleneck": {"model": bottleneck} | fewer,
    }


def set_networks(config: ConfigDict, found: dict[str, dict]) -> None:
    """Puts the networks into the config, with what lab C says of each."""
    rescnn.set_networks(config, found)
    config.reported = ConfigDict(
        {name: REPORTED.get(name, "not in the labs") for name in found}
    )  # a plain dict


def cifar10(config: ConfigDict) -> None:
    """As intended: crops and flips, one cycle, twins without parameters in their shortcuts, in bfloat16."""
    set_networks(config, networks(34, 50, 128, 128, 128))
    config.compute_dtype = "bfloat16"


def as_implemented(config: ConfigDict) -> None:
    """Lab C's recipe: one rate, no augmentation, 13 of the 16 skips, BatchNorm in evaluation mode after the first epoch.

    Its images are blown up to 128 pixels before a stem that shrinks them four times: every stage sees the size that it sees here.
    """
    found = networks(34, 50, 128, 128, 128)
    resnet = found["resnet"]["model"] | {"init": "torch_default"}
    lab = {
        "convnet": resnet | {"skip": False},
        "resnet": resnet | {"projection": True, "plain_stages": (1,)},
        "resnet_bottleneck": found["resnet_bottleneck"]["model"]
        | {"init": "torch_default", "projection": True},
    }
    dense = mlp.perceptron(128, 128, 128, init="torch_default", relu_logits=True)
    set_networks(
        config,
        {
            "mlp_relu_logits": {"model": dense, "optim": {"lr": 0.1}, "seeds": tuple(range(6))},
            "convnet": {"model": lab["convnet"]},
            "resnet": {"model": lab["resnet"]},
            "resnet_bottleneck": {"model": lab["resnet_bottleneck"], "seeds": tuple(range(6))},
        },
    )
    config.lrs, config.freeze_norm_after_epochs, config.batch_size = (1e-3,), 1, 32
    config.data.update({"val_fraction": 0.2, "pad": 0, "flip": False})
    config.optim.update(
        {"schedule": "constant", "warmup_fraction": 0.0, "nesterov": False, "weight_decay": 0.0}
    )


def digits(config: ConfigDict) -> None:
    """The embedded set, nets of 14 layers and, with bottlenecks, 20."""
    found = networks(14, 20, 32, 32, 32)
    # With CIFAR-10's rates several nets chose the largest: as many rates, moved up.
    config.lrs = (0.05, 0.15, 0.45)
    for name in ("mlp", "mlp_relu_logits"):
        found[name] |= {"lrs": (0.03, 0.1, 0.3)}
    set_networks(config, found)
    on_digits(config)
    config.num_epochs = 6


def on_digits(config: ConfigDict) -> None:
    """The embedded set, in batches of 64."""
    config.data.update(
        {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2, "pad": 0, "flip": False}
    )
    config.batch_size = 64
    config.log_every_steps, config.checkpoint_every_steps = 0, 0  # a run of seconds starts again


def quick(config: ConfigDict) -> None:
    """About a minute: nets of 8 layers, without bottlenecks."""
    found = networks(8, 11, 32, 32, 32)
    pair = ("mlp", "mlp_relu_logits", "convnet", "resnet", "convnet_no_addition")
    set_networks(config, {name: found[name] for name in pair})
    on_digits(config)
    config.seeds, config.select_seeds, config.num_epochs = tuple(range(6)), (100,), 4


def smoke(config: ConfigDict) -> None:
    """Seconds."""
    set_networks(config, networks(8, 11, 8))
    config.data.update(
        {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2, "pad": 0, "flip": False}
    )
    config.seeds, config.lrs, config.num_epochs, config.batch_size = (0, 1), (0.1,), 1, 128
    config.select_seeds = (100,)
    for name in config.networks:
        config.networks[name].update({"seeds": (0, 1)})
        if "lrs" in config.networks[name]:
            config.networks[name].lrs = (0.03, 0.1)
    config.log_every_steps, config.checkpoint_every_steps = 0, 0


def claims(found) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run.

    `beyond_guessing` is test accuracy minus that of guessing minus five points; `log2_seconds` the binary logarithm of the
    seconds of an epoch, so that a difference of 1 is twice the time. What an epoch costs is compared with a plain net that is
    built without shortcuts: the twin multiplies them by 0. `mean_val_loss` is the validation loss, mean over the
    epochs (worse than guessing counts as guessing), and `val_loss_rise` the last one less the lowest.
    """
    better = '"skip connections lead to an actual improvement": curves of two of ten runs, no test, no interval'
    slower = "about twice as slow (curves, nothing controlled)"
    cnns = [network for network in ("convnet", "resnet", "resnet_bottleneck") if network in found]
    every = {
        "a_skips_help": claim(
            "The residual net is more accurate than its plain twin",
            LAB_C,
            better,
            difference("resnet", "convnet"),
        ),
        "b_lower_loss": claim(
            "The residual net has the lower test loss",
            LAB_C,
            '"reaches lower values of loss"',
            difference("resnet", "convnet"),
            direction="<",
            value="test_loss",
            unit="nats",
            margin=0.01,
        ),
        "c_slower": claim(
            "An epoch of the residual net takes longer",
            LAB_C,
            slower,
            difference("resnet", "convnet_no_addition"),
            value="log2_seconds",
            unit="doublings",
            margin=0.1,
        ),
        "d_mlp_useless": claim(
            "The MLP is within 5 points of guessing: as implemented, with a ReLU behind its logits",
            LAB_C,
            '"completely uneffective on this task"',
            alone("mlp_relu_logits"),
            direction="<",
            value="beyond_guessing",
            margin=0.01,
        ),
        "e_mlp_useless_as_intended": claim(
            "The MLP is within 5 points of guessing: as intended",
            LAB_C,
            '"completely uneffective on this task"',
            alone("mlp"),
            direction="<",
            value="beyond_guessing",
            margin=0.01,
        ),
        "f_relu_logits": claim(
            "A ReLU behind the logits makes the MLP worse",
            "hypothesis",
            "not reported",
            difference("mlp_relu_logits", "mlp"),
            direction="<",
        ),
        "g_deeper": claim(
            "The net with bottlenecks and the basic one do not differ, to within a point",
            LAB_C,
            '"no particular difference between ResNet34 and ResNet50"',
            difference("resnet_bottleneck", "resnet"),
            direction="=",
            margin=0.01,
        ),
        "h_skips_help_bottlenecks": claim(
            "With bottlenecks, too, the residual net is better than its plain twin",
            "hypothesis",
            "not reported",
            difference("resnet_bottleneck", "convnet_bottleneck"),
        ),
        "i_stage_1": claim(
            "The residual net loses without the skips of its first stage",
            "hypothesis",
            "lab C's ResNet34 has none there",
            difference("resnet_plain_stage_1", "resnet"),
            direction="<",
        ),
        "j_cnn_beats_mlp": claim(
            "The plain convolutional net is better than the MLP",
            LAB_C,
            '"all the CNNs work nicely"',
            difference("convnet", "mlp" if "mlp" in found else "mlp_relu_logits"),
        ),
        "k_cnns_over_fit": claim(
            "The CNNs over-fit: in the median run of each the validation loss ends more than .02 above its "
            "lowest",
            LAB_C,
            "all CNNs over-fit quickly (curves of the losses)",
            *map(alone, cnns),
            value="val_loss_rise",
            unit="nats",
            margin=0.01,
            threshold=0.02,
        ),
        "l_sooner": claim(
            "The residual net gets to a low loss in fewer epochs: its validation loss, mean over the epochs, is "
            "the lower",
            LAB_C,
            '"reaches lower values of loss" in fewer epochs (curves of two of ten runs)',
            difference("resnet", "convnet"),
            direction="<",
            value="mean_val_loss",
            unit="nats",
            margin=0.01,
        ),
    }
    return answerable(every, found)
