"""The stages of `bench.accelerator`, in order of worth, and the process that does one of them."""

import argparse
import importlib
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bench import accelerator_studies as studies
from bench.accelerator_rates import rates, step_flops
from bench.accelerator_rows import Asked, Stage, row

PROJECT, GYMNAX = studies.PROJECT, (*studies.PROJECT, "gymnax")
COPIES = (64, 256, 1024, 4096, 16384)  # of LunarLander
CUDA = "import sys, torch; sys.exit(not torch.cuda.is_available())"


def beside_torch(
    name: str,
    jobs: Iterable,
    unit: str,
    asked: Asked,
    flops: Callable,
    needed: tuple[str, ...] = ("torch",),
    **setting,
) -> Iterator[dict]:
    """Measure our side of jobs of `bench.name` in this process, then PyTorch's in others.

    Args:
      flops: job -> operations of one unit; None where they are not counted.
      needed: packages of the other side.
      setting: of PyTorch.
    """
    from bench import processes

    module, seconds = importlib.import_module(f"bench.{name}"), 0.1 if asked.tiny else 3.0
    ours, functions = {}, (module.work_of, module.units_of)
    for job in jobs:
        found = processes.measure("ours", job, {"heap": "default"}, seconds, *functions)
        ours[job] = found["wall"]
        note = f"the first after {found['first']:.1f} s"
        yield row(str(job), ours[job], f"{unit}/s", note=note)
        if operations := flops(job):
            yield from near_the_limit(job, ours[job] * operations / 1e12, asked)
    if why := without_torch(needed, asked):
        yield row(f"beside PyTorch: {why}", None, "")
        return
    setting = {"heap": "default", "threads": processes.cores()} | setting
    for job, rate in ours.items():
        try:
            theirs = processes.run_once(name, "torch", job, setting, seconds)["wall"]
        except SystemExit as error:
            yield row(f"{job}, PyTorch", None, "", note=str(error))
            continue
        note = f"PyTorch compiled: {theirs:,.0f} {unit}/s"
        yield row(f"{job}, ours / PyTorch", rate / theirs, "times", least=1.0, note=note)


def near_the_limit(job, done: float, asked: Asked) -> Iterator[dict]:
    """Yield the rate of a job's products, TFLOP/s, and which part it is of the measured one."""
    from bench import processes

    limit, note = asked.rates.get(processes.dtype()), "products forward and backward"
    yield row(f"{job}, of its products", done, "TFLOP/s", note=note)
    if limit:
        note = f"of {limit:,.1f} TFLOP/s, {processes.dtype()}"
        yield row(f"{job}, of the rate of matrix products", 100 * done / limit, "%", note=note)


def without_torch(needed: tuple[str, ...], asked: Asked) -> str:
    """Return why there is no comparison with PyTorch; "" where there is one."""
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    if asked.tiny:
        return "not rehearsed, compiling takes minutes"
    found = subprocess.run((sys.executable, "-c", CUDA), capture_output=True, check=False)
    return "it sees no GPU" if found.returncode else ""


def vision(asked: Asked) -> Iterator[dict]:
    """Measure steps of image networks, `bench.vision`."""
    from bench import vision

    jobs = [vision.Job(net) for net in (("mlp",) if asked.tiny else ("mlp", "resnet20", "cnn17"))]

    def flops(job):
        net = vision.NETS[job.net]
        return step_flops(vision.our_task(net)) / net.batch_size

    layout = {"layout": "channels last"}
    yield from beside_torch("vision", jobs, "images", asked, flops, **layout)


def language(asked: Asked) -> Iterator[dict]:
    """Measure steps and texts of decoders, `bench.language`."""
    from bench import language, processes

    pairs = (("train", "gpt"), ("train", "small_llama"), ("write", "gpt"))
    pairs = (("train", "tiny_llama"),) if asked.tiny else pairs
    jobs = [language.Job(*pair, processes.cores()) for pair in pairs]

    def flops(job):
        net = language.NETS[job.net]
        return job.task == "train" and step_flops(language.our_task(net)) / language.units_of(job)

    yield from beside_torch("language", jobs, "tokens", asked, flops, compiled=True)


def encoders(asked: Asked) -> Iterator[dict]:
    """Measure fine-tuning and embedding of encoders, `bench.encoders`."""
    from bench import encoders, processes

    jobs = [encoders.Job(task, "base", processes.cores()) for task in ("finetune", "embed")]
    if asked.tiny:
        sizes = encoders.MINILM._replace(n_layer=1, n_embd=16, n_head=2, intermediate=16)
        encoders.NETS["tiny"] = encoders.Net(sizes, 64)
        jobs = [encoders.Job("embed", "tiny", processes.cores())]

    def flops(job):
        if job.task != "finetune":
            return 0
        task = encoders.our_task(encoders.NETS[job.net])
        steps = [task._replace(batch_at=lambda _, i=i: task.batch_at(i)) for i in range(4)]
        return sum(map(step_flops, steps)) / encoders.units_of(job)

    other = {"needed": ("torch", "transformers"), "attention": "sdpa", "compiled": True}
    yield from beside_torch("encoders", jobs, "texts", asked, flops, **other)


def agent_rate(asked: Asked, agent: str, runs: int, steps: int, **own) -> dict:
    """Return the row of whole runs of an agent on CartPole, side by side."""
    from bench import rl, rl_others

    made = rl.our_runs(rl.Job(agent, runs, "", "", steps), **own)
    found = rl_others.timed(*made, seconds=0.01 if asked.tiny else 2.0)
    envs = f", environments: {own['num_envs']}" if own else ""
    what = f"{agent} on CartPole, runs: {runs}{envs}"
    return row(what, found["wall"], "steps/s", note=f"compiled in {found['compile']:.1f} s")


def agents(asked: Asked) -> Iterator[dict]:
    """Measure our side of `bench.rl`; the other sides are for a CPU, where it compares them."""
    steps, several = (20_000, 2) if asked.tiny else (100_000, 64)
    for agent, runs in (("ppo", 1), ("ppo", several), ("dqn", 1), ("dqn", several)):
        if not asked.tiny or (agent, runs) == ("ppo", several):
            yield agent_rate(asked, agent, runs, steps)


def many(asked: Asked) -> Iterator[dict]:
    """Measure PPO with many environments side by side."""
    for envs in (16,) if asked.tiny else (64, 2048):
        yield agent_rate(asked, "ppo", 1, 128 * envs * (2 if asked.tiny else 10), num_envs=envs)


def lander(asked: Asked) -> Iterator[dict]:
    """Measure steps of LunarLander with random actions, new episodes included."""
    import jax

    from bench.accelerator_rates import seconds_a_call
    from dla_jax.rl import envs

    env = envs.make("LunarLanderJax-v0", flatten=True)
    steps, least = (2, 0.01) if asked.tiny else (64, 1.0)

    def play(running, key, copies):
        action_key, key = jax.random.split(key)
        actions = jax.random.randint(action_key, (steps, copies), 0, env.num_actions)
        drawn = envs.draw(env, key, steps, copies)
        take = lambda running, now: (envs.advance(env, running, *now)[0], None)
        return jax.lax.scan(take, running, (actions, drawn))[0]

    for copies in COPIES[:1] if asked.tiny else COPIES:
        running = jax.jit(lambda key, n=copies: envs.start(env, key, n))(jax.random.key(0))
        played = jax.jit(lambda running, key, n=copies: play(running, key, n))
        call = lambda played=played, running=running: played(running, jax.random.key(1)).obs
        rate = steps * copies / seconds_a_call(call, least)
        yield row(f"LunarLander, copies: {copies:,}", rate, "steps/s", note=f"{steps} a call")


STAGES = {
    stage.name: stage
    for stage in (
        Stage("rates", "devices, matrix products, copies", 60, rates),
        Stage("vision", "steps of image networks, beside PyTorch", 240, vision, PROJECT),
        Stage("language", "steps and texts of decoders, beside PyTorch", 240, language, PROJECT),
        Stage("encoders", "encoders of texts, beside PyTorch", 180, encoders, PROJECT),
        Stage("agents", "PPO and DQN on CartPole", 120, agents, GYMNAX),
        Stage(
            "resnet20",
            "CIFAR-10, ResNet-20, 30 epochs, to 90.5 %",
            100,
            studies.resnet20,
            PROJECT,
            ("cifar10",),
        ),
        Stage(
            "resnet18", "CIFAR-10, ResNet-18, to 94 %", 180, studies.resnet18, PROJECT, ("cifar10",)
        ),
        Stage(
            "depths",
            "CIFAR-10, depths 9, 17, 48, plain and residual, three seeds, 10 epochs",
            420,
            studies.depths,
            PROJECT,
            ("cifar10",),
        ),
        Stage(
            "resnet34",
            "CIFAR-10, ResNet-34 and its plain twin, three pairs, 10 epochs",
            300,
            studies.resnet34,
            PROJECT,
            ("cifar10",),
        ),
        Stage("dante", "a GPT on Dante and n-grams", 120, studies.dante, PROJECT, ("dante",)),
        Stage(
            "shakespeare",
            "nanoGPT's model on Shakespeare, to 1.48",
            150,
            studies.shakespeare,
            PROJECT,
            ("shakespeare",),
        ),
        Stage("breakout", "PPO on Breakout, 1e7 steps, four seeds", 180, studies.breakout, GYMNAX),
        Stage("many", "PPO, 2,048 environments of CartPole", 60, many, GYMNAX),
        Stage("lander", "LunarLander, 64 to 16,384 copies", 90, lander, GYMNAX),
    )
}


def main() -> None:
    """Do one stage, and write each of its rows as it comes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell says so
    parser = argparse.ArgumentParser(prog="python -m bench.accelerator_stages")
    parser.add_argument("stage", choices=[*STAGES, "devices"])
    parser.add_argument("--rows", type=Path, help="file of the rows")
    parser.add_argument("--asked", help="what Asked is made of, as JSON")
    given = parser.parse_args()
    if given.stage == "devices":
        import jax

        print(jax.default_backend())
        return
    told = json.loads(given.asked)
    paths = {name: Path(told[name]) for name in ("data_dir", "work")}
    with given.rows.open("w") as file:
        for found in STAGES[given.stage].work(Asked(**told | paths)):
            print(json.dumps(found), file=file, flush=True)


if __name__ == "__main__":
    main()
