"""Depth study of CNNs: deeper plain nets stop improving, residual ones do not. True, by how much, and why?

Labs: depth studies of CNNs on CIFAR-10 (README, "The labs"). Paper: He et al. 2015, arXiv:1512.03385.

    python launch.py --config=configs/rescnn.py:digits            # about 3 minutes on 2 CPU cores
    python launch.py --config=configs/rescnn.py:digits,depth=50   # one more depth
    python launch.py --config=configs/rescnn.py:smoke             # seconds, to see that it runs

Result of `digits` (177 s on 2 cores of an Intel Xeon, 8 seeds): at depth 25 plain 50.5 % [37.4, 63.6], residual 94.3 %
[93.4, 95.3]; the gain from depth 5 to 25 differs by 44.3 points [31.7, 56.9]. All of it: docs/results.md.
"""

import itertools

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from dla_jax.config import parse_argument

LAB_A = "lab A, https://github.com/giovancombo/DLA-Labs"
LAB_B = "lab B, https://github.com/ZappaRoberto/DeepLearningApplications"
LAB_E = "lab E (only its README is public)"


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset: `digits` or `smoke`; `depth=` adds a deepest net."""
    given = parse_argument(argument, ("digits", "smoke"), depth=0)
    config = ConfigDict()
    config.experiment = "depth_study"

    # The question: depth x arm x seed, paired by seed. "both" stands for all arms at depth 1, where they are one net.
    config.depths = tuple(sorted({1, 5, 10, 20, 25} | ({given.depth} - {0})))
    config.reference_depth = 5  # where the gain from depth is measured from
    config.arms = ("plain", "residual")
    config.seeds = tuple(range(8))  # 2/2^8 = .008 is the smallest p; each fixes split, order, initial weights
    # The other explanations, at fewer depths and seeds.
    config.side_arms = (
        "residual+scaled",
        "plain+torch_default",
        "plain+dirac",
        "plain+batch",
        "residual+batch",
        "plain+shared_lr",
    )
    config.side_depths = (5, max(config.depths))
    config.side_seeds = tuple(range(6))
    # Each arm at each depth gets its own learning rate, on validation, from seeds that no final run has.
    config.lrs = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    config.select_seeds = (100, 101)
    config.side_select_seeds = (100,)

    config.data = ConfigDict()
    config.data.name = "digits"
    config.data.val_fraction = 0.2
    config.data.test_fraction = 0.2
    config.data.pad = 0  # pixels of pad-and-crop; digits are centred and have a left and a right
    config.data.flip = False

    config.model = ConfigDict()
    config.model.name = "cnn"
    config.model.width = 16
    config.model.pools = 1  # 2x2 max-pools after the stem
    config.compute_dtype = "float32"

    config.num_epochs = 9
    config.batch_size = 64
    config.patience = 0  # evaluations without improvement before a run stops; 0: never
    config.optim = ConfigDict()
    config.optim.name = "adam"
    config.optim.lr = placeholder(float)  # one peak rate for all, instead of the grid above
    config.optim.schedule = "cosine"
    config.optim.warmup_fraction = 0.0
    config.optim.milestones = (0.5, 0.75)  # fractions of the steps, for multi_step
    config.optim.decay_factor = 0.1
    config.optim.momentum = 0.9
    config.optim.nesterov = False
    config.optim.b1 = 0.9
    config.optim.b2 = 0.999
    config.optim.eps = 1e-8
    config.optim.weight_decay = 0.0
    config.optim.clip_norm = 1.0  # without it deep plain nets diverge at the larger rates

    config.eval_every_epochs = 1
    config.log_every_steps = 6  # rows beside those of the evaluations; 0: none
    config.checkpoint_every_steps = 0  # a run of seconds starts again; it is saved when interrupted
    config.steps_per_call = 32
    config.cells_at_a_time = 0  # 0: one a CPU core, or one on accelerators

    if given.preset == "smoke":
        config.depths, config.reference_depth, config.seeds = (1, 2, 4), 2, (0, 1)
        config.side_arms, config.side_depths, config.side_seeds = ("plain+batch", "plain+shared_lr"), (2, 4), (0, 1)
        config.lrs, config.select_seeds = (3e-3, 1e-2), (100,)
        config.model.width, config.num_epochs = 4, 2
    config.claims = claims(config.depths, config.reference_depth)
    return config


def claims(depths: tuple[int, ...], reference: int) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it, fixed before the run.

    A contrast is a sum of weight x test accuracy of a group "<arm>-<depth>", taken seed by seed; "deepest" and
    "reference" stand for the study's own depths.
    """
    later = [depth for depth in depths if depth >= reference]

    def claim(statement, source, reported, *contrasts, direction=">"):
        return {"statement": statement, "source": source, "reported": reported, "contrasts": contrasts,
                "direction": direction, "margin": 0.005}  # fmt: skip

    def difference(a, b):
        return ((1.0, a), (-1.0, b))

    return ConfigDict({
        "a_skip_makes_depth_pay": claim(
            "Depth helps residual nets, not plain ones", LAB_E,
            "the CNN does not always gain from depth, the ResCNN always does (no intervals)",
            ((1.0, "residual-deepest"), (-1.0, "residual-reference"), (-1.0, "plain-deepest"), (1.0, "plain-reference"))),
        "b_residual_gains_always": claim(
            "A residual net gains from every step in depth", LAB_E, "the ResCNN always gains from depth",
            *(difference(f"residual-{b}", f"residual-{a}") for a, b in itertools.pairwise(later))),
        "b_residual_gains": claim(
            "The deepest residual net is better than the one of the reference depth", LAB_E, "the ResCNN always gains from depth",
            difference("residual-deepest", "residual-reference")),
        "c_plain_loses": claim(
            "A deep plain net is worse than a shallower one", LAB_A,
            "CIFAR-10, validation: 73.5 % at depth 5, 72.0 % at 20, 60.8 % at 50 (one run each)",
            difference("plain-deepest", "plain-reference"), direction="<"),
        "d_skip_helps_deep": claim(
            "At the largest depth a skip makes the net better", LAB_B,
            "CIFAR-10: 87.96 % with, 86.85 % without at 48 layers (one run each)",
            difference("residual-deepest", "plain-deepest")),
        "e_skip_hurts_shallow": claim(
            "A skip makes a shallow net worse", LAB_B, "CIFAR-10: 88.20 % with, 88.74 % without at 9 layers (one run each)",
            difference("residual-reference", "plain-reference"), direction="<"),
        "f_identity_initialisation": claim(
            "Starting from the identity helps a deep plain net", "hypothesis, after airbench94 (K. Jordan 2024)",
            "not reported; the skip may act only through the first steps", difference("plain+dirac-deepest", "plain-deepest")),
        "g_torch_initialisation": claim(
            "PyTorch's default initialisation makes a deep plain net worse", "hypothesis",
            "not reported; lab A keeps the default", difference("plain+torch_default-deepest", "plain-deepest"),
            direction="<"),
        "h_normalisation": claim(
            "BatchNorm helps a deep plain net", "hypothesis", "not reported; labs A to D use it in all their CNNs",
            difference("plain+batch-deepest", "plain-deepest")),
        "i_skip_with_norm": claim(
            "With BatchNorm in both, a deep net is still better with a skip", LAB_B,
            "CIFAR-10, BatchNorm in both: 87.96 % with, 86.85 % without at 48 layers (one run each)",
            difference("residual+batch-deepest", "plain+batch-deepest")),
        "j_learning_rate": claim(
            "A learning rate tuned at the reference depth is too poor for the deep plain net", "hypothesis",
            "not reported; labs A and B use one rate for all depths", difference("plain-deepest", "plain+shared_lr-deepest")),
        "k_branch_scale": claim(
            "Scaling the branch by 1/sqrt(depth - 1) makes the deep residual net better", "hypothesis", "not reported",
            difference("residual+scaled-deepest", "residual-deepest")),
    })  # fmt: skip
