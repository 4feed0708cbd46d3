"""What final policies are worth on gymnasium's own environment, in a study that is judged there."""

from typing import NamedTuple

from dla_jax.config.checks import check
from dla_jax.evidence.formatting import count
from dla_jax.rl import envs, judge
from dla_jax.studies.agents.programs import Program
from dla_jax.trials.arms import final_trials, resolve

# Of a run: its best policy there, its last one, and actions at random.
VALUES = ("judged_return", "judged_last_return", "judged_random")


class Policies(NamedTuple):
    """The policies of one run that are judged: what `Agent.act` needs of each."""

    best: object
    last: object


def check_judge(config, env: envs.Env) -> None:
    """Raise ConfigError for a `config.env.judge` on which the policies of an arm cannot play.

    The time limit of an episode is the same there and here, whatever gymnasium's own is.
    """
    if not config.env.judge:
        return
    check(
        config.env.sticky == 0,
        f"env.sticky: {config.env.sticky}, and actions do not stick in gymnasium's "
        f"{config.env.judge}, so that returns would be those of two games; give 0, or leave "
        "env.judge out",
    )
    judge.check_judge(config.env.judge, env)


def compile_judge(program: Program, policy) -> None:
    """Compile what playing there needs, where the study is judged; `policy`: one like others."""
    if program.config.env.judge:
        shape = (program.config.test_episodes, *program.env.obs_shape)
        judge.warm(program.agent.act, policy, shape)


def judged(program: Program, policies: Policies, seed: int, diverged: bool) -> dict[str, float]:
    """Return the mean returns of a run's policies there, {name of VALUES: float}.

    Those of a run that diverged are of actions at random. Without env.judge it is {}.

    Raises:
      Interrupted: a stop was requested.
    """
    own, act = program.config, program.agent.act
    if not own.env.judge:
        return {}
    where = {"seed": seed, "episodes": own.test_episodes, "max_steps": program.env.max_steps}
    chance = judge.random_return(own.env.judge, **where)
    if diverged:
        return dict.fromkeys(VALUES, chance)
    returns = [judge.play(own.env.judge, act, policy, **where).mean() for policy in policies]
    return dict(zip(VALUES, (*map(float, returns), chance), strict=True))


def remarks(config) -> list[str]:
    """Return what is judged, and what is not although a claim asks for it, in lines."""
    arms = resolve(config)
    counted, episodes = {}, 0
    for trial in final_trials(arms):
        own = arms[trial.arm].config
        if own.env.judge:
            counted[own.env.judge] = counted.get(own.env.judge, 0) + 1
            episodes += 2 * own.test_episodes
    found = [
        f"{count(runs, 'run')} judged on gymnasium's {name}, the best and the last policy of each"
        for name, runs in counted.items()
    ]
    if found:
        found[-1] += f", {episodes:,} episodes in all"
    asked = any(claim["value"] in VALUES for claim in config.claims.values())
    if asked and not counted:
        found.append("env.judge is empty: claims on returns of gymnasium's environment are not run")
    return found
