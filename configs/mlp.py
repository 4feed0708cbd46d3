"""MLPs: which one for MNIST, can a 20-layer one be trained, and is what breaks it depth or initialisation?

Lab A reports 96.0 % at depth 5 and 11.5 % at depth 20 on MNIST and concludes that the deep MLP fails; lab B reports 32.6 %
with 784 hidden units, the course's baseline has 94.7 % with 16. Papers: He et al. 2015, arXiv:1502.01852 (initialisation);
He et al. 2016, arXiv:1603.05027 (pre-activation).

    python launch.py --config=configs/mlp.py                          # MNIST: four nets; 1.5 minutes on 2 CPU cores
    python launch.py --config=configs/mlp.py:mnist,as_implemented=true    # the labs' nets with the labs' recipes
    python launch.py --config=configs/mlp.py:lab_b                    # MNIST: lab B's recipe, shortened, and a rate of its own
    python launch.py --config=configs/mlp.py:digits                   # depths 1 to 50; about 2 minutes on 2 CPU cores
    python launch.py --config=configs/mlp.py:quick                    # depths 5 and 20; about a minute
    python launch.py --config=configs/mlp.py:smoke                    # seconds, to see that it runs

Result of `digits` (278 s of CPU on 2 cores of an AMD EPYC): a plain MLP of depth 20 has 95.3 % [94.7, 95.8] with He
initialisation (16 seeds) and 12.9 % [6.0, 19.8], about chance, with PyTorch's default (6 seeds). Of `mnist` (339 s of CPU):
784-128-64-10 has 97.9 % [97.8, 98.1], lab B's 784-784-10 98.4 % [98.4, 98.5] at a learning rate of its own (6 seeds). All of it:
docs/results.md.
"""

from ml_collections import ConfigDict

from configs import rescnn
from configs.claims.depth import LAB_A, LAB_B, LAB_E
from dla_jax.config.arguments import parse_argument
from dla_jax.config.checks import check
from dla_jax.evidence.claims import alone, answerable, claim, difference

COURSE = "the course's baseline (Lab 1, exercise 1.1)"


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset. Those not on MNIST are the depth study of configs/rescnn.py with other nets, and take `depth=`."""
    given = parse_argument(
        argument, ("mnist", "lab_b", "digits", "quick", "smoke"), depth=0, as_implemented=False
    )
    check(
        given.preset == "mnist" or not given.as_implemented,
        f"config argument as_implemented: {given.preset} has no other version; it is for mnist",
    )
    if given.preset in ("mnist", "lab_b"):
        check(
            not given.depth,
            f"config argument depth: {given.preset} compares networks; it is for digits",
        )
        return lab_b() if given.preset == "lab_b" else mnist(given.as_implemented)
    config = rescnn.get_config(argument)
    config.model = ConfigDict({"name": "mlp", "norm": "none", "init": "he", "width": 8})
    if given.preset != "smoke":
        config.model.width, config.num_epochs, config.log_every_steps = 64, 20, 0
    if given.preset == "digits":
        config.depths = tuple(sorted({1, 5, 10, 20, 50} | ({given.depth} - {0})))
        config.side_depths = ("reference", 20, "deepest")
        # Unlike CNNs, MLPs do choose 3e-4 at depth 50; two seeds of the best rate lay 0 to 4 points apart, but for 19 in the
        # plain one with BatchNorm.
        config.lrs, config.select_seeds = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2), (100, 101)
        config.seeds = tuple(
            range(16)
        )  # a run takes a second: sixteen see a difference of .74 standard deviations, eight of 1.2
    if given.preset == "quick":
        config.side_arms, config.side_depths = (
            ("plain+torch_default", "residual+scaled"),
            ("reference", 20),
        )
    config.claims = claims(config)
    return config


def claims(config: ConfigDict) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it (configs/rescnn.py), with the claims about depth 20."""
    found = rescnn.claims(config).to_dict()
    reported = "MNIST, validation: 96.02 % at depth 5, 91.50 % at 10, 11.46 % at 20 (one run each)"
    found["c_plain_loses"] |= {"source": LAB_A, "reported": reported}
    for name in (
        "a_skip_makes_depth_pay",
        "a_skip_pays_more",
        "b_residual_gains_always",
        "b_residual_gains",
        "d_skip_helps_deep",
        "e_skip_hurts_shallow",
        "i_skip_with_norm",
    ):
        if name in found:
            found[name] |= {"source": "hypothesis", "reported": "the labs say it of CNNs"}
    if 20 in config.side_depths:
        found |= {
            "l_fails_as_implemented": claim(
                "A 20-layer plain MLP is worse than a 5-layer one: as implemented, PyTorch's initialisation",
                LAB_A,
                reported,
                difference("plain+torch_default-20", "plain+torch_default-5"),
                direction="<",
            ),
            "m_fails_as_intended": claim(
                "A 20-layer plain MLP is worse than a 5-layer one: as intended, He initialisation",
                LAB_A,
                reported,
                difference("plain-20", "plain-5"),
                direction="<",
            ),
            "n_initialisation_rescues": claim(
                "He initialisation makes the 20-layer plain MLP better than PyTorch's default",
                "hypothesis",
                "not reported",
                difference("plain-20", "plain+torch_default-20"),
            ),
        }
    return ConfigDict(found)


def mnist(as_implemented: bool) -> ConfigDict:
    """The labs' MLPs for MNIST: as intended, each at its own learning rate; as implemented, with their recipes."""
    config = mnist_base()
    config.question = (
        "Which MLP for MNIST? The wider net was reported to fail; is it the net or the recipe?"
    )
    if as_implemented:
        config.lrs = (1e-3,)
        adam = {"lr": 1e-4, "schedule": "constant"}
        lab_a = {"optim": adam | {"weight_decay": 1e-4}, "num_epochs": 20}
        deep = {
            f"depth_{d}": lab_a
            | {
                "model": perceptron(
                    *(64,) * d, dropout=0.2, dropout_at="last", init="torch_default"
                )
            }
            for d in (1, 5, 10, 20)
        }
        baseline = {
            "optim": adam,
            "num_epochs": 100,
            "model": perceptron(16, 16, init="torch_default"),
        }
        wide = {
            "optim": LION | {"lr": 1e-2},
            "num_epochs": 150,
            "patience": 20,
            "batch_size": 16384,
            "model": perceptron(784, dropout=0.2, init="torch_default"),
        }
        networks = {"mlp_16_16": baseline, "mlp_784": wide, **deep}
    else:
        nets = {
            "mlp_16_16": perceptron(16, 16),
            "mlp_128_64": perceptron(128, 64),
            "mlp_256_256": perceptron(256, 256),
            "mlp_784": perceptron(784, dropout=0.2),
        }
        networks = {name: {"model": model} for name, model in nets.items()}
    reported = {
        "mlp_16_16": "94.7 % (test)",
        "mlp_784": "32.6 % (test)",
        "mlp_128_64": "no figure",
        "depth_1": "95.95 % (val.)",
        "depth_5": "96.02 % (val.)",
        "depth_10": "91.50 % (val.)",
        "depth_20": "11.46 % (val.)",
    }
    set_networks(config, networks, reported)
    return config


def mnist_base() -> ConfigDict:
    """What the studies of MLPs on MNIST share."""
    config = rescnn.networks_base("architectures")
    config.pair = ()
    config.seeds, config.lrs = (0, 1, 2, 3, 4, 5), (1e-3, 3e-3, 1e-2)
    config.data.update({"name": "mnist", "val_fraction": 1 / 12, "pad": 0, "flip": False})
    config.num_epochs, config.log_every_steps, config.checkpoint_every_steps = 6, 0, 0
    config.optim.clip_norm = 0.0
    return config


LION = {
    "name": "lion",
    "schedule": "one_cycle",
    "warmup_fraction": 0.3,
    "weight_decay": 1e-2,
    "b2": 0.99,
}


def lab_b() -> ConfigDict:
    """Lab B's MLP and recipe, Lion with one cycle to 1e-2 in batches of 16,384, and the same at a rate of its own.

    17 steps instead of the lab's up to 500: one takes a CPU core a second or two. The cycle is as much shorter.
    """
    config = mnist_base()
    config.question = "32.6 % on MNIST with 784 hidden units: is it the net, or the rate of 1e-2, which Lion takes as it is?"
    config.model = perceptron(784, dropout=0.2, init="torch_default")
    config.optim.update(LION)
    config.lrs = (1e-3, 2e-3, 4e-3)  # in so few steps 3e-4 is too slow
    config.num_epochs, config.batch_size = 5, 16384
    set_networks(
        config,
        {"lab_b": {"optim": {"lr": 1e-2}}, "own_rate": {}},
        {"lab_b": "32.6 % (test), 150 epochs"},
    )
    return config


def set_networks(config: ConfigDict, networks: dict[str, dict], reported: dict[str, str]) -> None:
    """Puts the networks into the config, with what was reported of each and the claims about them."""
    rescnn.set_networks(config, networks)
    config.reported = ConfigDict(
        {network: reported.get(network, "not in the labs") for network in networks}
    )
    config.claims = mnist_claims(networks)


def perceptron(
    *widths: int,
    dropout: float = 0.0,
    init: str = "he",
    relu_logits: bool = False,
    dropout_at: str = "every",
) -> ConfigDict:
    """The group `model` of a net of dense layers."""
    return ConfigDict(
        {
            "name": "perceptron",
            "norm": "none",
            "init": init,
            "skip": False,
            "depth": len(widths),
            "widths": widths,
            "dropout": dropout,
            "dropout_at": dropout_at,
            "relu_logits": relu_logits,
        }
    )


def mnist_claims(networks: dict) -> ConfigDict:
    """Who claimed what about the networks that are there."""
    found = {
        "a_wide_fails": claim(
            "784 hidden units do worse than 16 + 16",
            LAB_B,
            "32.57 %; the course's 16 + 16: 94.7 %",
            difference("mlp_784", "mlp_16_16"),
            direction="<",
            margin=0.002,
        ),
        "b_wider_helps": claim(
            "256 + 256 hidden units do better than 128 + 64",
            "hypothesis",
            "not reported",
            difference("mlp_256_256", "mlp_128_64"),
            margin=0.002,
        ),
        "c_lab_e_beats_the_baseline": claim(
            "128 + 64 hidden units do better than the baseline's 16 + 16",
            LAB_E,
            "no figure",
            difference("mlp_128_64", "mlp_16_16"),
            margin=0.002,
        ),
        "d_deep_fails": claim(
            "A 20-layer MLP is worse than a 5-layer one",
            LAB_A,
            "validation: 96.02 % at depth 5, 11.46 % at 20 (one run each)",
            difference("depth_20", "depth_5"),
            direction="<",
            margin=0.002,
        ),
        "e_lab_e_is_the_best": claim(
            "128 + 64 hidden units do better than each of the others",
            LAB_E,
            "its best MLP, no figure",
            *(difference("mlp_128_64", other) for other in ("mlp_16_16", "mlp_256_256", "mlp_784")),
            margin=0.002,
        ),
        "f_recipe_fails": claim(
            "By lab B's recipe, shortened, the median run of 784 hidden units stays at 32.6 % or below",
            LAB_B,
            "32.57 % (test) in up to 150 epochs",
            alone("lab_b"),
            direction="<",
            threshold=0.326,
        ),
        "g_own_rate_helps": claim(
            "At a learning rate of its own the same net is better",
            "hypothesis",
            "not reported",
            difference("own_rate", "lab_b"),
        ),
    }
    return answerable(found, networks.keys())
