"""Depth study of MLPs: can a 20-layer MLP be trained, and is what breaks it depth or initialisation?

Lab A reports 96.0 % at depth 5 and 11.5 % at depth 20 on MNIST and concludes that the deep MLP fails. Papers:
He et al. 2015, arXiv:1502.01852 (initialisation); He et al. 2016, arXiv:1603.05027 (pre-activation).

    python launch.py --config=configs/mlp.py:digits            # about 1.5 minutes on 2 CPU cores
    python launch.py --config=configs/mlp.py:smoke             # seconds, to see that it runs

Result of `digits` (97 s on 2 cores of an Intel Xeon): a plain MLP of depth 20 has 94.9 % [93.9, 95.8] with He initialisation
(8 seeds) and 10.2 %, chance, with PyTorch's default (6 seeds). All of it: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import rescnn
from dla_jax.config import parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset, `digits` or `smoke`: the one of configs/rescnn.py with other nets; `depth=` adds a deepest net."""
    given = parse_argument(argument, ("digits", "smoke"), depth=0)
    config = rescnn.get_config(argument)
    config.model = ConfigDict({"name": "mlp", "width": 64})
    if given.preset == "smoke":
        config.model.width = 8
        config.claims = claims(config.depths, config.reference_depth)
        return config
    config.depths = tuple(sorted({1, 5, 10, 20, 50} | ({given.depth} - {0})))
    config.side_arms = (
        "residual+scaled",
        "plain+torch_default",
        "plain+dirac",
        "plain+batch",
        "residual+batch",
        "plain+shared_lr",
    )
    config.side_depths = tuple(sorted({5, 20, max(config.depths)}))
    config.num_epochs = 20
    config.log_every_steps = 0
    config.claims = claims(config.depths, config.reference_depth)
    return config


def claims(depths: tuple[int, ...], reference: int) -> ConfigDict:
    """Who claimed what, and the one contrast that decides it (configs/rescnn.py), with the claims about depth 20."""
    found = rescnn.claims(depths, reference).to_dict()
    reported = "MNIST, validation: 96.02 % at depth 5, 91.50 % at 10, 11.46 % at 20 (one run each)"
    fails = {"source": rescnn.LAB_A, "reported": reported, "direction": "<", "margin": 0.005}
    lost = lambda arm: (((1.0, f"{arm}-20"), (-1.0, f"{arm}-reference")),)  # noqa: E731
    rescue = (((1.0, "plain-20"), (-1.0, "plain+torch_default-20")),)
    found |= {
        "c_plain_loses": found["c_plain_loses"] | {"source": rescnn.LAB_A, "reported": reported},
        "l_fails_as_implemented": fails | {"contrasts": lost("plain+torch_default"),
            "statement": "A 20-layer plain MLP is worse than a 5-layer one: as implemented, PyTorch's default initialisation"},
        "m_fails_as_intended": fails | {"contrasts": lost("plain"),
            "statement": "A 20-layer plain MLP is worse than a 5-layer one: as intended, He initialisation"},
        "n_initialisation_rescues": {"source": "hypothesis", "reported": "not reported", "direction": ">", "margin": 0.005,
            "contrasts": rescue, "statement": "He initialisation makes the 20-layer plain MLP better than PyTorch's default"},
    }  # fmt: skip
    return ConfigDict(found)
