"""Our LunarLander beside gymnasium's, whose physics is Box2D's.

    python -m bench.lunar_lander [--nets=nearness,returns,trained,speed] [--workdir=DIR] [--write]

It compares single steps and open loops from the same places, with the same actions and noise of the
engines; whole episodes of random play, of gymnasium's controller and of the policies of a finished
study of agents (`--workdir`), in either world; the same of policies that PPO learns in gymnasium's
world (`trained`, two to three minutes a seed); and steps a second. It needs requirements-box2d.txt.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from bench import lunar_box2d, lunar_returns, lunar_speed, lunar_training, page
from bench.lunar_box2d import Flight
from dla_jax.config.checks import ConfigError
from dla_jax.rl.lunar_lander import LunarLander

GAME = LunarLander()
NETS = "nearness", "returns", "trained", "speed"
QUANTILES = 0.5, 0.9, 0.99, 1.0
NUMBERS = "x", "y", "x velocity", "y velocity", "angle", "spin"  # of an observation
LEGS = "angle of a leg, rad", "spin of a leg, rad/s"
APART = 0.01, 0.1
FIGURE = page.ROOT / "docs" / "figures" / "lunar_lander_returns.png"
EPISODES = 100  # of a trained policy, and of open loops
SEED = 10_000  # the first of gymnasium's


def flights(episodes: int) -> dict[str, list[Flight]]:
    """Return {who plays: episodes in Box2D's world}."""
    box, rng = lunar_box2d.world(), np.random.default_rng(0)
    policies = {
        "random": lambda obs: int(rng.integers(4)),
        "heuristic": lunar_box2d.heuristic_of_numpy,
    }
    return {
        name: [lunar_box2d.fly(box, policy, SEED + i) for i in range(episodes)]
        for name, policy in policies.items()
    }


def single_steps(found: dict[str, list[Flight]]) -> str:
    """Return a table of how one step of ours differs from Box2D's.

    Without the steps that end in a crash: nothing comes after them, and our hull hits nothing.
    """
    joined = [flight for played in found.values() for flight in played]
    ours = lunar_box2d.answers(GAME, GAME.default_params, joined)
    theirs = np.concatenate([flight.obs[1:] for flight in joined])
    moved = np.concatenate([flight.bodies[1:] for flight in joined])
    apart, rows = np.abs(ours.obs - theirs), []
    legs = np.abs(ours.bodies - moved)[:, 1:, [2, 5]].max(1)  # of the leg that differs more
    columns = dict(zip((*NUMBERS, *LEGS), (*apart.T[: len(NUMBERS)], *legs.T), strict=True))
    ends = np.cumsum([len(flight.action) for flight in joined]) - 1
    kept = np.ones(len(apart), bool)
    kept[ends[[flight.ended == "crashed" for flight in joined]]] = False
    for where, chosen in (("in the air", ours.air & kept), ("on the ground", ~ours.air & kept)):
        if not chosen.any():
            continue
        for number, column in columns.items():
            values = np.quantile(column[chosen], QUANTILES)
            rows.append([where, f"{chosen.sum():,}", number, *(f"{value:.1g}" for value in values)])
        contacts = (apart[chosen, 6:] > 0).any(1)
        told = f"another contact of a leg in {100 * contacts.mean():.2f} % of steps"
        rows.append([where, f"{chosen.sum():,}", told, *[""] * len(QUANTILES)])
    names = [f"{100 * q:.0f} %" for q in QUANTILES]
    return page.markdown(["one step", "steps", "number", *names], rows)


@functools.partial(jax.jit, static_argnames="env")
@functools.partial(jax.vmap, in_axes=(None, None, 0))
def open_loop(env: LunarLander, params, flight: tuple) -> jax.Array:
    """Return how far we are from Box2D after each step from its first place: float32 [E, T].

    That is the largest difference of the first six numbers of an observation.
    """
    rows, seen, heights, action, noise = flight

    def take(state, row):
        action, noise, want = row
        obs, state, *_ = env.step_with(noise, state, action, params)
        return state, abs(obs - want)[:6].max()

    start = lunar_box2d.state_of(rows, seen[0], heights, jnp.zeros(2, jnp.int32))
    return jax.lax.scan(take, start, (action, noise, seen[1:]))[1]


def loops(played: list[Flight]) -> list[np.ndarray]:
    """Return what `open_loop` says of whole flights."""
    longest = max(len(flight.action) for flight in played)
    longer = lambda values: np.resize(values, (longest, *values.shape[1:]))
    columns = [
        (
            np.float32(flight.bodies[0]),
            np.concatenate([flight.obs[:1], longer(flight.obs[1:])]),
            np.float32(flight.ground),
            np.int32(longer(flight.action)),
            np.float32(longer(flight.noise)),
        )
        for flight in played
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *columns)
    found = np.asarray(open_loop(GAME, GAME.default_params, stacked))
    return [row[: len(flight.action)] for row, flight in zip(found, played, strict=True)]


def parting(found: dict[str, list[Flight]]) -> str:
    """Return a table of when open loops part.

    An episode in which they do not counts as infinitely long.
    """
    rows = []
    for name, played in found.items():
        apart = loops(played)
        touch = np.array([first(flight.obs[1:, 6:].any(1)) for flight in played])
        for limit in APART:
            steps = np.array([first(row > limit) for row in apart])
            quantiles = np.quantile(steps, (0.1, 0.5, 0.9), method="lower")
            cells = ["not in the episode" if np.isinf(q) else f"{q:.0f}" for q in quantiles]
            before = f"{100 * np.mean(steps < touch):.0f} %"
            rows.append([name, str(len(played)), f"{limit:g}", *cells, before])
    head = ["open loop of", "episodes", "apart by", "after steps: 10 %", "50 %", "90 %"]
    return page.markdown([*head, "before any leg touches"], rows)


def first(true: np.ndarray) -> float:
    """Return the number of the first true one, from 1; infinite where there is none."""
    return 1 + np.argmax(true) if true.any() else np.inf


def policies(workdir: str) -> list[lunar_returns.Player]:
    """Return the policies of a workdir, where one is given; end the benchmark if it is wrong."""
    try:
        return lunar_returns.trained(Path(workdir).resolve()) if workdir else []
    except ConfigError as error:
        page.refuse("lunar_lander", str(error).replace("--from", "--workdir"))


def returns(episodes: int, trained: list[lunar_returns.Player], write: bool) -> str:
    """Return the table of whole episodes; with `write` draw them too."""
    players = [(player, episodes) for player in lunar_returns.untrained()]
    players += [(player, min(episodes, EPISODES)) for player in trained]
    found: dict[str, list] = {}
    for i, (player, count) in enumerate(players):
        theirs = lunar_returns.box2d_episodes(player, count, SEED + i * episodes)
        pair = theirs, lunar_returns.our_episodes(player, count, i)
        found.setdefault(player.name, []).append(pair)
    results = {name: lunar_returns.together(pairs) for name, pairs in found.items()}
    if write:
        print(lunar_returns.draw(results, FIGURE))
    return lunar_returns.table(results)


def trained_there(arm, seeds: int, episodes: int) -> str:
    """Return the table of policies that PPO learned in gymnasium's world."""
    found = {}
    for i, (name, player) in enumerate(lunar_training.train(arm, range(seeds)).items()):
        theirs = lunar_returns.box2d_episodes(player, episodes, SEED + i * episodes)
        found[name] = theirs, lunar_returns.our_episodes(player, episodes, i)
    return lunar_returns.table(found | {"all": lunar_returns.together(list(found.values()))})


def main() -> None:
    """Measure what the command line asks for, and show the tables."""
    numbers = {
        "rounds": (5, "of all that are timed, in turn"),
        "seconds": (2.0, "that each is timed for in a round"),
        "episodes": (1000, "whole ones of random play and of the controller"),
        "seeds": (4, "runs of PPO in gymnasium's world"),
    }
    paths = {"workdir": "a finished study of agents on our lander, whose policies play"}
    given = page.arguments("lunar_lander", __doc__, NETS, paths, **numbers)
    page.need("lunar_lander", "Box2D", told="requirements-box2d.txt")
    trained = policies(given.workdir)

    def show(net: str, text: str) -> None:
        page.show("lunar_lander", text, given.write, "gymnasium", "Box2D", section=f"lunar_{net}")

    if "nearness" in given.nets:
        found = flights(min(given.episodes, EPISODES))
        show("nearness", f"{single_steps(found)}\n\n{parting(found)}")
    if "returns" in given.nets:
        show("returns", returns(given.episodes, trained, given.write))
    if "trained" in given.nets:
        episodes = min(given.episodes, EPISODES)
        show("trained", trained_there(lunar_training.lunar_arm(), given.seeds, episodes))
    if "speed" in given.nets:
        show("speed", lunar_speed.table(lunar_speed.measure(given.rounds, given.seconds)))


if __name__ == "__main__":
    main()
