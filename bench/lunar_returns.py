"""Whole episodes of gymnasium's LunarLander and of ours: returns, lengths, how they end."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from scipy import stats

from bench import lunar_box2d, page
from dla_jax.config.checks import check
from dla_jax.config.written import read_config
from dla_jax.evidence.stats import t_interval
from dla_jax.plots.style import COLOURS, PAGE, STYLE, plt, save
from dla_jax.rl import envs
from dla_jax.studies.agents.programs import make_hyper, programs_of
from dla_jax.studies.agents.study import arms_of
from dla_jax.training.checkpoint import load_model
from dla_jax.trials.finished import finished_runs, model_folder

NAMES = {"LunarLanderJax-v0": False, "LunarLanderContinuousJax-v0": True}  # {ours: continuous}
AT_ONCE = 50  # worlds of Box2D that a policy acts in


class Player(NamedTuple):
    """What plays, in either world."""

    name: str  # policies of one arm share it
    env: envs.Env
    choose: Callable  # actor, key, observations [E, 8] -> actions [E, ...]
    actor: object  # arrays that `choose` needs


class Episodes(NamedTuple):
    """E whole episodes."""

    total: np.ndarray  # float [E], returns
    length: np.ndarray  # int [E], steps
    landed: np.ndarray  # bool [E]
    crashed: np.ndarray  # bool [E], out of the picture too; neither: the time was over


def any_action(actor, key: jax.Array, obs: jax.Array) -> jax.Array:
    """Return random actions: int32 [E]."""
    return jax.random.randint(key, obs.shape[:1], 0, 4)


def controlled(actor, key: jax.Array, obs: jax.Array) -> jax.Array:
    """Return the actions of gymnasium's heuristic controller: int32 [E]."""
    return jax.vmap(lunar_box2d.heuristic)(obs)


def untrained() -> list[Player]:
    """Return random play, and gymnasium's controller."""
    env = envs.make("LunarLanderJax-v0", flatten=True)
    return [Player("random", env, any_action, ()), Player("heuristic", env, controlled, ())]


def trained(workdir: Path) -> list[Player]:
    """Return the policies of a finished study of agents.

    Raises:
      ConfigError: no such study there, or not on our lander.
    """
    rows = finished_runs(workdir, "", ("agents",), "agents")
    config = ConfigDict(read_config(workdir)["config"])
    name, sticky = config.env.name, config.env.sticky
    check(
        name in NAMES and not sticky,
        f"--workdir={workdir}: its agents play {name} with env.sticky={sticky:g}; "
        f"give a study of {' or '.join(NAMES)} without sticky actions",
    )
    arms = arms_of(config, {})
    programs, made, players = programs_of(arms), {}, []
    for row in rows:
        program = programs[row["group"]]
        if id(program) not in made:  # so that equal programs are compiled once
            hyper = jax.tree.map(jnp.float32, make_hyper(arms[row["group"]].config, row["lr"]))
            state = jax.jit(program.agent.init)(jax.random.key(0), hyper)
            choose = functools.partial(greedy, program.agent.act)
            made[id(program)] = program.agent.actor(state), choose
        like, choose = made[id(program)]
        actor = load_model(model_folder(workdir, row), like)
        players.append(Player(row["group"], program.env, choose, actor))
    return players


def greedy(act: Callable, actor, key: jax.Array, obs: jax.Array) -> jax.Array:
    """Return the likeliest actions of a policy; `act` as of `Agent`."""
    return act(actor, obs)


def our_episodes(player: Player, episodes: int, seed: int) -> Episodes:
    """Play whole episodes in our world."""
    key = jax.random.key(seed)
    return jax.device_get(_play(player.env, player.choose, player.actor, episodes, key))


@functools.partial(jax.jit, static_argnames=("env", "choose", "episodes"))
def _play(env: envs.Env, choose: Callable, actor, episodes: int, key: jax.Array) -> Episodes:
    reset_key, step_key = jax.random.split(key)
    obs, state = jax.vmap(env.reset)(jax.random.split(reset_key, episodes))

    def take(carry):
        t, obs, state, found = carry
        keys = jax.random.split(jax.random.fold_in(step_key, t), episodes + 1)
        action = choose(actor, keys[0], obs)
        obs, state, reward, over, _ = jax.vmap(env.step)(keys[1:], state, action)
        alive = ~(found.landed | found.crashed)
        found = Episodes(
            total=found.total + jnp.where(alive, reward, 0.0),
            length=found.length + alive,
            landed=found.landed | (alive & over & (reward > 0)),
            crashed=found.crashed | (alive & over & (reward < 0)),
        )
        return t + 1, obs, state, found

    def unfinished(carry):
        t, _, _, found = carry
        return (t < env.max_steps) & ~jnp.all(found.landed | found.crashed)

    none = jnp.zeros(episodes, bool)
    found = Episodes(jnp.zeros(episodes), jnp.zeros(episodes, jnp.int32), none, none)
    return jax.lax.while_loop(unfinished, take, (jnp.int32(0), obs, state, found))[-1]


def box2d_episodes(player: Player, episodes: int, seed: int) -> Episodes:
    """Play whole episodes in gymnasium's world, with its seeds from `seed` on."""
    choose, found = jax.jit(player.choose), []
    boxes = [
        lunar_box2d.world(continuous=NAMES[player.env.name]) for _ in range(min(AT_ONCE, episodes))
    ]
    for first in range(0, episodes, AT_ONCE):
        places = range(min(AT_ONCE, episodes - first))
        obs = np.zeros((AT_ONCE, 8), np.float32)
        for i in places:
            obs[i] = boxes[i].reset(seed=seed + first + i)[0]
        total, length, last = np.zeros(AT_ONCE), np.zeros(AT_ONCE, int), np.zeros(AT_ONCE)
        alive = set(places)
        for t in range(player.env.max_steps):
            if not alive:
                break
            key = jax.random.fold_in(jax.random.key(seed + first), t)
            actions = np.asarray(choose(player.actor, key, obs))
            for i in sorted(alive):
                obs[i], reward, over, *_ = boxes[i].step(actions[i])
                total[i], length[i] = total[i] + reward, t + 1
                if over:
                    last[i] = reward
                    alive.remove(i)
        rows = Episodes(total, length, last > 0, last < 0)
        found.append(Episodes(*(values[: len(places)] for values in rows)))
    return Episodes(*map(np.concatenate, zip(*found, strict=True)))


def together(pairs: list[tuple[Episodes, Episodes]]) -> tuple[Episodes, Episodes]:
    """Return the episodes of several policies in both worlds as those of one."""
    return tuple(
        Episodes(*map(np.concatenate, zip(*played, strict=True)))
        for played in zip(*pairs, strict=True)
    )


HEAD = [
    "who plays",
    "episodes",
    "return, Box2D",
    "ours",
    "p",
    "length, Box2D",
    "ours",
    "p",
    "landed, Box2D / ours",
    "p",
    "crashed, Box2D / ours",
    "p",
]


def table(results: dict[str, tuple[Episodes, Episodes]]) -> str:
    """Return a table in Markdown of {who plays: (Box2D's episodes, ours)}."""
    rows = []
    for name, pair in results.items():
        cells = [name, f"{len(pair[0].total):,}"]
        for values in zip(*((found.total, found.length) for found in pair), strict=True):
            cells += [*map(mean, values), f"{stats.ks_2samp(*values).pvalue:.2g}"]
        for values in zip(*((found.landed, found.crashed) for found in pair), strict=True):
            cells.append(" / ".join(f"{100 * value.mean():.1f} %" for value in values))
            counts = [[value.sum(), (~value).sum()] for value in values]
            cells.append(f"{stats.fisher_exact(counts).pvalue:.2g}")
        rows.append(cells)
    return page.markdown(HEAD, rows)


def mean(values: np.ndarray) -> str:
    """Return a mean with its interval of 95 %."""
    low, high = t_interval(values)
    return f"{np.mean(values):.1f} [{low:.1f}, {high:.1f}]"


def draw(results: dict[str, tuple[Episodes, Episodes]], path: Path) -> str:
    """Draw how returns and lengths are distributed in both worlds; return it in words.

    A column is who plays, a line the share of episodes that have at most so much.
    """
    columns = len(results)
    told = []
    with plt.rc_context(STYLE):
        size = (min(PAGE, 2.4 * columns + 0.6), 3.6)
        figure, axes = plt.subplots(2, columns, figsize=size, squeeze=False, sharey=True)
        for column, (name, pair) in zip(axes.T, results.items(), strict=True):
            for axis, field in zip(column, ("total", "length"), strict=True):
                for world, found, colour, line in zip(
                    ("Box2D", "ours"), pair, COLOURS, ("-", "--"), strict=False
                ):
                    values = np.sort(getattr(found, field))
                    share = np.arange(1, len(values) + 1) / len(values)
                    axis.step(values, share, line, color=colour, label=world, where="post")
                axis.set_xlabel({"total": "return", "length": "steps of an episode"}[field])
            column[0].set_title(name, loc="left")
            means = [f"{found.total.mean():.0f}" for found in pair]
            told.append(f"{name} {' and '.join(means)}")
        for row in axes:
            row[0].set_ylabel("share of episodes")
        axes[0, 0].legend(loc="lower right")
        save(figure, path)
    return f"Mean return in Box2D's world and in ours: {'; '.join(told)}."
