"""Steps a second of gymnasium's LunarLander and of ours, by how many are side by side."""

import functools
import sys
import time
from pathlib import Path

import jax
import numpy as np

from bench import lunar_box2d, page, processes
from dla_jax.rl import envs

COPIES = 1, 16, 64, 256, 1024, 4096
TOGETHER = 16  # worlds of a vector environment
PIECE = 32  # steps of every copy in one call of ours
TICKS = 100  # a second, in which Linux counts the time of processes


def box2d_steps():
    """Return a function that takes about n steps of one world and says how many."""
    box, rng = lunar_box2d.world(), np.random.default_rng(0)
    box.reset(seed=0)

    def take(n: int) -> int:
        for _ in range(n):
            if box.step(int(rng.integers(4)))[2]:
                box.reset()
        return n

    return take, lambda: 0.0


def vector_steps(mode: str):
    """Return the same of a vector environment, and a function that says its processes' CPU time."""
    import gymnasium

    # its processes are forked from one that has JAX's threads, and use Box2D alone
    together = gymnasium.make_vec("LunarLander-v3", TOGETHER, vectorization_mode=mode)
    rng = np.random.default_rng(0)
    together.reset(seed=0)

    def take(n: int) -> int:
        for _ in range(-(-n // TOGETHER)):
            together.step(rng.integers(4, size=TOGETHER))
        return -(-n // TOGETHER) * TOGETHER

    children = getattr(together, "processes", [])
    return take, lambda: sum(seconds_of(child.pid) for child in children)


def seconds_of(pid: int) -> float:
    """Return the CPU time of a process that runs, as Linux counts it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def our_steps(copies: int):
    """Return the same of our copies; episodes that end begin anew, as for our agents."""
    env = envs.make("LunarLanderJax-v0", flatten=True)

    @functools.partial(jax.jit, donate_argnums=0)
    def piece(running, key):
        draw_key, act_key = jax.random.split(key)
        drawn = envs.draw(env, draw_key, PIECE, copies)
        actions = jax.random.randint(act_key, (PIECE, copies), 0, env.num_actions)
        take = lambda running, row: (envs.advance(env, running, row[0], row[1])[0], None)
        return jax.lax.scan(take, running, (actions, drawn))[0]

    start = jax.jit(lambda key: envs.start(env, key, copies))
    kept = {"running": start(jax.random.key(0)), "calls": 0}

    def take(n: int) -> int:
        calls = max(1, round(n / (PIECE * copies)))
        for _ in range(calls):
            kept["calls"] += 1
            kept["running"] = piece(kept["running"], jax.random.key(kept["calls"]))
        jax.block_until_ready(kept["running"])
        return calls * PIECE * copies

    return take, lambda: 0.0


def sides() -> dict:
    """Return {who: a function that makes what `measure` times}."""
    vectors = {f"gymnasium's {mode} vector": mode for mode in ("sync", "async")}
    found = {"Box2D": box2d_steps}
    found |= {name: functools.partial(vector_steps, mode) for name, mode in vectors.items()}
    return found | {f"ours, {n}": functools.partial(our_steps, n) for n in COPIES}


def measure(rounds: int, seconds: float) -> dict[str, dict]:
    """Return {who: {"first": seconds, "wall", "cpu": steps a second of each round}}.

    All take turns, in both orders; "first" is from nothing to the end of the first steps.
    """
    works, found = {}, {}
    for name, make in sides().items():
        begin = time.perf_counter()
        take, children = works[name] = make()
        take(1)
        found[name] = {"first": time.perf_counter() - begin, "wall": [], "cpu": []}
    guess = dict.fromkeys(works, 1)
    for i in range(-1, rounds):  # the first one says how many steps to take
        for name in list(works)[:: -1 if i % 2 else 1]:
            take, children = works[name]
            begin, begun = processes.spent(), children()
            steps, n = 0, guess[name]
            while processes.spent()[0] - begin[0] < (seconds if i >= 0 else seconds / 4):
                steps += take(n)
                n *= 2 if i < 0 else 1
            wall, cpu = processes.spent() - begin + (0, children() - begun)
            guess[name] = max(1, round(steps / wall * seconds / 8))
            if i >= 0:
                found[name]["wall"].append(steps / wall)
                found[name]["cpu"].append(steps / cpu)
        if i >= 0:
            print(f"speed: round {i + 1} of {rounds}", file=sys.stderr)
    return found


def table(results: dict[str, dict]) -> str:
    """Return a table in Markdown."""
    alone, rows = {key: np.array(results["Box2D"][key]) for key in ("wall", "cpu")}, []
    for name, found in results.items():
        cells = [name]
        for key in ("wall", "cpu"):
            cells += [page.spread(found[key], ",.0f"), page.spread(found[key] / alone[key], ".1f")]
        rows.append([*cells, f"{found['first']:.1f} s"])
    head = ["who", "steps/s", "times Box2D", "steps per CPU-second", "times Box2D", "first steps"]
    return page.markdown(head, rows)
