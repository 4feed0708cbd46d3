"""The stages of `bench.accelerator` that train: presets for a GPU, cut to what a stage may take.

`asked.tiny` takes the same ways on embedded data, with networks that are too small to learn.
"""

from collections.abc import Iterator

import numpy as np

from bench.accelerator_rows import Asked, row

PROJECT = (
    "ml_collections",
    "flax",
    "optax",
    "orbax",
    "absl",
    "scipy",
    "sklearn",
    "matplotlib",
    "jinja2",
    "PIL",
    "tqdm",
    "tensorboardX",
)
SEEDS = (0, 1, 2)


def runs_of(asked: Asked, name: str, config, **changes) -> list[dict]:
    """Return the last rows of the runs of a study, which goes on where it was stopped."""
    import dla_jax

    how = {"data_dir": asked.data_dir, "download": False, "quiet": True}
    return dla_jax.run(config, asked.work / name, **how, **changes).summary["runs"]


def of(runs: list[dict], group: str, key: str) -> np.ndarray:
    """Return what the runs of a group have under a key: float [runs]."""
    return np.array([run[key] for run in runs if run["group"] == group], float)


def spread(values: np.ndarray, form: str = ".2f") -> str:
    """Return the smallest and the largest of several values, in words."""
    return f"{values.min():{form}} to {values.max():{form}}, seeds: {len(values)}"


def on_digits(config) -> None:
    """Rehearse a study of images: the embedded ones, one epoch."""
    from configs.image_base import use_digits

    use_digits(config)
    config.batch_size = 128
    config.data.val_fraction, config.data.test_fraction = 0.3, 0.4  # few images to train on


def residual_net(asked: Asked, preset: str, depth: int, epochs: int, lr: float, **changes):
    """Return (accuracy in per cent, seconds of training, images/s) of one residual net."""
    from configs import rescnn

    config = rescnn.get_config(preset)
    config.depths, config.arms, config.side_arms = (depth,), ("residual",), ()
    if asked.tiny:
        on_digits(config)
        config.depths, config.compute_dtype, epochs = (8,), "float32", 1
    name = f"{preset}-{depth}-{epochs}-epochs"
    how = {"seeds": (0,), "num_epochs": epochs, "optim.lr": lr}
    how |= {} if asked.tiny else {"compute_dtype": "bfloat16"} | changes
    (run,) = runs_of(asked, name, config, **how)
    return 100 * run["test_accuracy"], run["train_seconds"], run["examples_per_s"]


def trained(what: str, found: tuple, least: float) -> dict:
    """Return the row of a net: its accuracy, with seconds and rate."""
    accuracy, seconds, rate = found
    note = f"trained in {seconds:.1f} s, compilation apart; {rate:,.0f} images/s"
    return row(what, accuracy, "%", least=least, note=note)


def resnet20(asked: Asked) -> Iterator[dict]:
    """Train ResNet-20 on CIFAR-10 for 30 epochs: `configs/rescnn.py:he` with one depth."""
    found = residual_net(asked, "he", 20, epochs=30, lr=0.1)
    yield trained("ResNet-20, 30 epochs, test accuracy", found, least=90.5)


def resnet18(asked: Asked) -> Iterator[dict]:
    """Train the wide ResNet-18 of `configs/rescnn.py:resnet18` to 94 %, in few epochs and more."""
    for epochs in (12,) if asked.tiny else (12, 24):
        few = {"data.val_fraction": 0.02, "eval_every_epochs": epochs // 2}
        found = residual_net(asked, "resnet18", 18, epochs=epochs, lr=0.2, **few)
        yield trained(f"ResNet-18, {epochs} epochs, test accuracy", found, least=94.0)


def depths(asked: Asked) -> Iterator[dict]:
    """Compare plain and residual CNNs of three depths: `configs/rescnn.py:cifar10`."""
    from configs import rescnn

    config = rescnn.get_config("cifar10")
    config.depths, config.side_arms = (9, 17, 48), ()
    how = {"seeds": SEEDS, "lrs": (1e-3, 3e-3), "select_seeds": (100,), "num_epochs": 10}
    if asked.tiny:
        on_digits(config)
        config.depths, config.model.width = (2, 4), 4
        how |= {"seeds": (0,), "num_epochs": 1}
    runs = runs_of(asked, "depths", config, compute_dtype="bfloat16", **how)
    for depth in config.depths:
        means = []
        for arm in config.arms:
            accuracy = 100 * of(runs, f"{arm}-{depth}", "test_accuracy")
            means.append(accuracy.mean())
            seconds = of(runs, f"{arm}-{depth}", "train_seconds").mean()
            note = f"{spread(accuracy)}, {seconds:.1f} s a run"
            yield row(f"{arm}, depth {depth}, test accuracy", means[-1], "%", note=note)
        yield row(f"skips at depth {depth}", means[1] - means[0], "points")


def resnet34(asked: Asked) -> Iterator[dict]:
    """Train pairs of ResNet-34 and its plain twin: `configs/resnet34.py:cifar10`, the pair."""
    from configs import resnet34
    from configs.claims.resnet34 import claims

    config = resnet34.get_config("cifar10")
    for name in set(config.networks) - set(config.pair):
        del config.networks[name], config.reported[name]
    config.claims = claims(config.networks.keys())
    how = {"seeds": SEEDS, "num_epochs": 10, "optim.lr": 0.1}
    if asked.tiny:
        on_digits(config)
        config.compute_dtype = "float32"
        how |= {"seeds": (0,), "num_epochs": 1}
        for network in config.networks.values():
            network.model.depth = 8
    runs = runs_of(asked, "resnet34", config, **how)
    plain, residual = (100 * of(runs, name, "test_accuracy") for name in config.pair)
    names = ("ConvNet-34", "ResNet-34")
    for name, group, found in zip(names, config.pair, (plain, residual), strict=True):
        seconds = of(runs, group, "seconds_per_epoch").mean()
        note = f"{spread(found)}, {seconds:.1f} s an epoch"
        yield row(f"{name}, 10 epochs, test accuracy", found.mean(), "%", note=note)
    gains = residual - plain
    yield row("skips, in pairs", gains.mean(), "points", note=spread(gains))


def language_runs(asked: Asked, name: str, network: str, preset: str, **changes) -> list[dict]:
    """Return the runs of one network of `configs/dante.py`, on `data_dir/<name>.txt`."""
    from configs import dante
    from configs.claims.dante import claims

    config = dante.get_config(preset)
    for other in set(config.networks) - {network}:
        del config.networks[other], config.reported[other]
    if asked.tiny:
        config.model = dante.gpt(1, 2, 16, 32)
        config.data.val_fraction, config.ngram_order, config.target_order = 0.02, 2, 1
        changes |= {"num_steps": 4, "eval_every_steps": 2, "seeds": (0,), "batch_size": 8}
        config.sample.num_tokens = 8
    else:
        config.data.path = str(asked.data_dir / f"{name}.txt")
    config.claims = claims(config.networks.keys(), True, config.model.n_embd)
    return runs_of(asked, name, config, **{"optim.lr": 1e-3} | changes)


def written(run: dict) -> str:
    """Return how fast a language model was trained, in words."""
    return f"{run['tokens_per_s']:,.0f} tokens/s, {run['train_seconds']:.1f} s"


def dante(asked: Asked) -> Iterator[dict]:
    """Train lab D's 6-layer GPT on the Inferno: `configs/dante.py:gpt`, fewer steps."""
    few = {"num_steps": 2000, "eval_every_steps": 100, "seeds": (0, 1)}
    runs = language_runs(asked, "dante", "gpt", "gpt", **few)
    nats = np.array([run["nats_per_char"] for run in runs])
    gain = -max(run["above_ngram"] for run in runs)
    note = f"{spread(nats, '.3f')}; {written(runs[0])}"
    yield row("GPT on Dante", nats.mean(), "nats/char", note=note)
    order = runs[0]["best_ngram_order"]
    note = f"the {order}-gram is the best; the worse of the seeds"
    yield row("GPT on Dante, below the best n-gram", gain, "nats/char", least=0.05, note=note)


def shakespeare(asked: Asked) -> Iterator[dict]:
    """Train nanoGPT's character model: `configs/dante.py:shakespeare`, one seed."""
    (run,) = language_runs(asked, "shakespeare", "gpt_shakespeare", "shakespeare", seeds=(0,))
    note = f"{written(run)}; the best of the evaluations, all of the last tenth"
    yield row("GPT on Shakespeare", run["nats_per_char"], "nats/char", most=1.48, note=note)


def breakout(asked: Asked) -> Iterator[dict]:
    """Play MinAtar's Breakout for 1e7 steps: `configs/ppo.py:breakout_gpu`."""
    from configs import ppo

    config, few = ppo.get_config("breakout_gpu"), {}
    if asked.tiny:
        config.agent.update({"num_envs": 4, "num_steps": 8, "num_minibatches": 2})
        config.model.hidden = (8,)
        few = {"total_steps": 64, "num_evaluations": 1, "eval_episodes": 1, "test_episodes": 1}
        few |= {"seeds": (0,), "env.max_steps": 5}
    runs = runs_of(asked, "breakout", config, **few)
    found = np.array([run["eval_return"] for run in runs])
    seconds, rate = runs[0]["train_seconds"], np.mean([run["env_steps_per_s"] for run in runs])
    note = f"{spread(found, '.1f')}; {rate:,.0f} steps/s, {seconds:.0f} s in all"
    yield row("Breakout, return after training", found.mean(), "", least=28, note=note)
