"""Our agents beside purejaxrl, Stable-Baselines3 and CleanRL.

    python -m bench.rl [--purejaxrl=PATH] [--cleanrl=PATH] [--write]
    python -m bench.rl --envs=2048 --steps=524288 --purejaxrl=PATH [--write]

It measures environment steps on CartPole-v1. With `--envs` it is one run of PPO in another number
of environments, beside purejaxrl alone, in a table of its own. Every measurement is a process of
its own, on one core, and the two sides take turns. In JAX whole runs are timed, from the first
parameters to the last update, and their compilation apart. PyTorch has one thread.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from bench import page, processes, rl_others
from configs import agents, methods

ENVS = methods.ppo().num_envs  # as of CleanRL and Huang et al. 2022


class Job(NamedTuple):
    """One comparison."""

    agent: str
    runs: int  # side by side in one program
    beside: str
    path: str  # of the other side's checkout, where it is one
    steps: int  # environment steps of a run
    envs: int = ENVS  # of PPO, side by side; DQN has its own number

    def __str__(self):
        return f"{self.agent}, {self.runs} run{'s' * (self.runs > 1)}, beside {self.beside}"


class Other(NamedTuple):
    """Another side, and what it needs."""

    name: str
    packages: tuple[str, ...]
    files: tuple[str, ...] = ()  # of a checkout whose folder the command line names


OTHERS = {
    "purejaxrl": Other("purejaxrl", ("distrax", "flashbax"), ("ppo.py", "dqn.py", "wrappers.py")),
    "sb3": Other("Stable-Baselines3", ("stable_baselines3",)),
    "cleanrl": Other("CleanRL", ("torch", "tyro", "tensorboard"), ("ppo.py",)),
}
AIMS = {
    ("ppo", 1, "purejaxrl"): 1.0,
    ("ppo", 4, "purejaxrl"): None,
    ("dqn", 1, "purejaxrl"): 1.0,
    ("dqn", 4, "purejaxrl"): None,
    ("ppo", 1, "sb3"): 20.0,
    ("dqn", 1, "sb3"): 5.0,
    ("ppo", 1, "cleanrl"): 20.0,
}
MANY = "ppo", 1, "purejaxrl"  # the comparison that --envs is for
# As purejaxrl and CleanRL have them; what is not here is as in configs/agents.py.
PPO = {"optim": {"lr": 2.5e-4}}
DQN = {
    "agent": {"learning_starts": 10_000, "epsilon_fraction": 0.5},
    "optim": {"lr": 2.5e-4, "clip_norm": 0.0, "eps": 1e-8},
}
AGENTS = {"ppo": PPO, "dqn": DQN}
FEWEST = 20_000  # environment steps: learning has to start


def config_of(job: Job) -> tuple[ConfigDict, dict]:
    """Return (config, what differs between runs of a program)."""
    from dla_jax.studies.agents.programs import make_hyper

    config = agents.base()
    agents.use(config, job.agent)
    config.update({"total_steps": job.steps, **AGENTS[job.agent]})
    if job.agent == "ppo":
        config.agent.num_envs = job.envs
    return config, make_hyper(config, config.optim.lr)._asdict()


def our_runs(job: Job, **own):
    """Return (`prepare` as `rl_others.timed` takes it, environment steps of what it makes).

    `own`: keys of `config.agent` that are to be others.
    """
    import importlib

    import jax
    import jax.numpy as jnp

    from dla_jax.rl import envs, loop

    config, hyper = config_of(job)
    config.agent.update(own)
    module = importlib.import_module(f"dla_jax.rl.{job.agent}")
    agent = module.make(envs.make(config.env.name, flatten=True), config)
    updates = (job.steps - agent.first_steps) // agent.steps_per_update

    def run(updates):
        states = loop.start(agent, list(range(job.runs)), [module.Hyper(**hyper)] * job.runs)
        limits = [jnp.int32(job.steps)] * 2
        return jax.block_until_ready(loop.run_chunk(agent, states, jnp.int32(updates), *limits))

    def prepare():
        run(0)
        return lambda: run(updates)

    return prepare, job.runs * (agent.first_steps + updates * agent.steps_per_update)


def measure(side: str, job: Job, setting: dict, seconds: float) -> dict:
    """Measure a side in this process, as `rl_others.rates` says it.

    That is environment steps per second of wall time and of CPU time, and seconds of compilation.
    """
    processes.keep_to(1)
    if side == "ours":
        return rl_others.timed(*our_runs(job), seconds)
    return rl_others.SIDES[side](job, *config_of(job), seconds)


def absent(paths: dict[str, str]) -> dict[str, str]:
    """Return {side that cannot be measured: why}; end the benchmark where a path is wrong."""
    found = {}
    for side, other in OTHERS.items():
        if path := paths.get(side):
            lacking = [file for file in other.files if not (Path(path) / file).is_file()]
            if lacking:
                mend = f"give the folder that {', '.join(other.files)} is in"
                page.refuse("rl", f"--{side}={path}: no {lacking[0]} there; {mend}")
        missing = [name for name in other.packages if importlib.util.find_spec(name) is None]
        if other.files and not path:
            found[side] = f"no --{side}=PATH is given"
        elif missing:
            found[side] = f"{', '.join(missing)} is missing; pip install -r requirements-bench.txt"
    return found


HEAD = [
    "agent",
    "runs",
    "beside",
    "ours, steps per CPU-second",
    "theirs",
    "ratio",
    "aim",
    "ours, steps/s",
    "theirs",
    "ratio",
    "compilation",
    "steps/s with it",
]


def table(results: list[dict], without: dict[str, str]) -> str:
    """Return a table in Markdown, and what was not measured.

    A cell is a median with the smallest and largest.
    """
    parts = [page.markdown(HEAD, [row(result["job"], result["pairs"]) for result in results])]
    for side, why in without.items():
        parts.append(f"Not measured: {OTHERS[side].name}, {why}.")
    return "\n\n".join(parts)


def row(job: Job, pairs: list[dict]) -> list[str]:
    """Return the cells of one comparison, under HEAD."""

    def of(key):
        return [np.array([pair[side][key] for pair in pairs]) for side in ("ours", job.beside)]

    def rates(key):
        ours, theirs = of(key)
        return page.spread(ours, ",.0f"), page.spread(theirs, ",.0f"), page.spread(ours / theirs)

    units, compiled = job.steps * job.runs, of("compile")
    aim = AIMS[job[:3]] if job.envs == ENVS else None
    sides = zip(compiled, of("wall"), strict=True)
    whole = [units / (first + units / rate) for first, rate in sides]
    return [
        job.agent if job.envs == ENVS else f"{job.agent}, {job.envs:,} environments",
        str(job.runs),
        OTHERS[job.beside].name,
        *rates("cpu"),
        f"at least {aim:.0f}" if aim else "",
        *rates("wall"),
        " / ".join(f"{np.median(first):.1f} s" for first in compiled),
        " / ".join(f"{np.median(rate):,.0f}" for rate in whole),
    ]


def given_jobs() -> tuple[argparse.Namespace, list[Job], dict[str, str]]:
    """Return the command line, what it asks for, and which sides cannot be measured and why.

    End the benchmark where the command line is wrong, or there is nothing to compare with.
    """
    checkouts = {side: other for side, other in OTHERS.items() if other.files}
    paths = {
        side: f"folder of {other.name}'s {', '.join(other.files)}"
        for side, other in checkouts.items()
    }
    numbers = {
        "rounds": (3, "pairs of runs"),
        "seconds": (8.0, "that each is timed for, if one run is shorter"),
        "steps": (500_000, "environment steps of a run"),
        "envs": (ENVS, "environments of PPO; another number is beside purejaxrl alone"),
    }
    given = page.arguments("rl", __doc__, AGENTS, paths, **numbers)
    if given.steps < FEWEST:
        page.refuse("rl", f"--steps={given.steps}: at least {FEWEST}, or DQN does not learn")
    update = given.envs * agents.base().agent.num_steps
    if given.steps < update:
        page.refuse("rl", f"--steps={given.steps}: at least {update}, an update of {given.envs}")
    places = {side: str(Path(path).resolve()) for side in paths if (path := getattr(given, side))}
    without = absent(places)
    if given.envs != ENVS:
        without = {side: why for side, why in without.items() if side == MANY[2]}
    keys = AIMS if given.envs == ENVS else [MANY]
    asked = [key for key in keys if key[0] in given.nets and key[2] not in without]
    if not asked:
        told = ", ".join(f"{OTHERS[side].name}: {why}" for side, why in without.items())
        page.refuse("rl", f"nothing to compare with: {told or f'--envs={given.envs} is for ppo'}")
    rest = given.steps, given.envs
    return given, [Job(*key, places.get(key[2], ""), *rest) for key in asked], without


def main() -> None:
    """Measure what the command line asks for, and show the table."""
    if processes.answered(Job, by=measure):
        return
    given, jobs, without = given_jobs()
    for side, why in without.items():
        print(f"bench.rl: without {OTHERS[side].name}: {why}", file=sys.stderr)
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        "OMP_NUM_THREADS": "1",
    }
    spent, results = (given.rounds, given.seconds), []
    for job in jobs:
        sides = ("ours", job.beside)
        results.append(processes.compare("rl", job, lambda *_: [{}], *spent, sides))
    beside = {job.beside for job in jobs}
    present = [other for side, other in OTHERS.items() if side in beside]
    needed = dict.fromkeys(name for other in present for name in other.packages)
    section = "rl" if given.envs == ENVS else "rl_many"
    text = table(results, without)
    page.show("rl", text, given.write, "gymnax", *needed, section=section)


if __name__ == "__main__":
    main()
