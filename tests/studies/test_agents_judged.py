"""A study judged on gymnasium's environment: what it shows and answers."""

import json

import numpy as np
import pytest
import scipy
from made_up import finished, noise

from configs import agents
from dla_jax.config.old_names import with_new_names
from dla_jax.studies.agents import transfer
from dla_jax.studies.agents.answer import answer
from dla_jax.studies.agents.judging import remarks
from dla_jax.studies.agents.report import lines, title
from dla_jax.studies.agents.study import STUDY


def judged_study(workdir, **changes):
    """Return a made-up study of LunarLander whose policies return 20 less where it is judged."""
    config = agents.get_config("lunar")
    for key, value in changes.items():
        config[key] = value
    returns = {"reinforce": 60.0, "dqn": 170.0, "ppo": 240.0}

    def last(trial):
        here = (
            returns[trial.arm] + noise(trial.seed, 20.0) + noise(trial.seed + len(trial.arm), 9.0)
        )
        row = {"eval_return": here, "last_return": here - 5, "random_return": -180.0}
        there = here - 20 + noise(5 * trial.seed, 3.0)
        row |= {"judged_return": there, "judged_last_return": there - 5, "judged_random": -190.0}
        row |= {"mean_return": 400.0 - here, "late_return": here, "diverged": False}
        solved = 100_000 if here >= 200 else None
        row |= {"solved_at": solved, "solved_after": solved and 50_000, "log2_solved": 17.0}
        row |= {"resolution": {}, "env_steps_per_s": 1.0, "num_params": 10, "train_seconds": 1.0}
        return row | {"step": config.total_steps, "env_steps": config.total_steps}

    data = {"name": config.env.name}
    return finished(STUDY, config, data, last, lambda trial: [], workdir)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return judged_study(tmp_path_factory.mktemp("j"))


def test_the_answer_speaks_of_where_it_is_judged(judged):
    # over training ppo is the worst here
    found = answer(judged)
    assert found.startswith("On gymnasium's LunarLander-v3 the best policies of ppo have a mean ")
    assert ", the highest, and those of dqn one of 1" in found
    assert "the return of ppo is 70." in found or "the return of ppo is 69." in found
    runs = judged.runs_of("ppo")
    assert f" of {np.mean([run['judged_return'] for run in runs]):.2f} [" in found
    there = sum(run["judged_return"] >= 200 for run in runs)
    here = sum(run["solved_at"] is not None for run in runs)
    assert f"; 200 is reached by ppo on {there} of {len(runs)} seeds and dqn on 0 of " in found
    assert f"on LunarLanderJax-v0, it is solved by ppo on {here} of {len(runs)} seeds" in found
    assert title(judged) == "Agents on LunarLanderJax-v0, judged on LunarLander-v3"


def test_claims_are_about_where_it_is_judged(judged):
    claims = {claim["name"]: claim for claim in judged.summary["claims"]}
    assert claims["a_ppo_beats_reinforce"]["verdict"] == "holds"  # over training it is lower
    (result,) = claims["a_ppo_beats_reinforce"]["results"]
    pairs = zip(judged.runs_of("ppo"), judged.runs_of("reinforce"), strict=True)
    differences = [one["judged_return"] - other["judged_return"] for one, other in pairs]
    assert result["mean"] == pytest.approx(np.mean(differences))


def test_the_table_has_both_returns_side_by_side(judged):
    found = transfer.table(judged)
    rows = {row[0]: dict(zip(found["head"], row, strict=True)) for row in found["rows"]}
    assert list(rows) == ["reinforce", "dqn", "ppo", "random actions"]
    row = rows["ppo"]
    here, there = (float(row[f"best policy, {place}"].split()[0]) for place in ("here", "there"))
    assert here > 225 and there == pytest.approx(here - 20, abs=3)
    lower = row["there − here"]
    assert lower.startswith("−") and "[−" in lower and ", −" in lower
    assert float(row["last policy, there"].split()[0]) == pytest.approx(there - 5, abs=0.11)
    chance = rows["random actions"]
    assert chance["best policy, here"].startswith("−180.0")
    assert chance["best policy, there"].startswith("−190.0")
    (line,) = [line for line in lines(judged) if line.startswith("ppo")]
    assert f"on LunarLander-v3 {row['best policy, there']}" in line


def test_without_a_return_that_counts_as_solved_nothing_is_counted(tmp_path):
    found = judged_study(tmp_path, solved_return=None)
    assert "at least" not in " ".join(transfer.table(found)["head"])
    assert "reached" not in answer(found) and "solved" not in answer(found)
    assert "a best policy" not in "\n".join(lines(found))


def test_the_caption_says_on_which_side_each_arm_lies(judged):
    runs = len(judged.runs_of("ppo"))
    words = transfer.caption(judged)
    assert "ppo: returns less there (−" in words and f"{runs} of {runs} runs below" in words
    better = lambda run: run["eval_return"] + 9 + noise(run["seed"])
    turned = with_values(judged, "judged_return", better)
    assert "ppo: returns more there (+9.0" in transfer.caption(turned)
    assert f"0 of {runs} runs below" in transfer.caption(turned)
    signs = lambda run: run["eval_return"] + (-1) ** run["seed"]
    alike = with_values(judged, "judged_return", signs)
    assert "ppo: no difference is shown (0.0" in transfer.caption(alike)


def with_values(found, key, of_run):
    """Return a study whose runs have another value."""
    runs = [run | {key: of_run(run)} for run in found.summary["runs"]]
    return found._replace(summary=found.summary | {"runs": runs})


def with_differences(judged, differences):
    """Return a study whose runs return so much more where it is judged: {arm: {seed: float}}."""
    more = lambda run: run["eval_return"] + differences[run["group"]][run["seed"]]
    return with_values(judged, "judged_return", more)


def test_seeds_that_reach_what_counts_as_solved_are_counted_in_both_places(judged):
    seeds, runs = judged.config.seeds, len(judged.config.seeds)
    fall = dict.fromkeys(seeds, 0.0) | dict.fromkeys(seeds[:3], -90.0)
    found = with_differences(judged, dict.fromkeys(judged.arms, fall))
    last = dict.fromkeys(seeds, 200.0) | dict.fromkeys(seeds[:2], 199.9)
    found = with_values(found, "judged_last_return", lambda run: last[run["seed"]])
    table = transfer.table(found)
    (row,) = [
        dict(zip(table["head"], row, strict=True)) for row in table["rows"] if row[0] == "ppo"
    ]
    here, there = f"{runs} of {runs}", f"{runs - 3} of {runs}"
    assert (row["at least 200, here"], row["at least 200, there"]) == (here, there)
    assert row["at least 200, there, last policy"] == f"{runs - 2} of {runs}"
    (told,) = [line for line in lines(found) if line.startswith("a best policy")]
    assert "at least 200 on gymnasium's LunarLander-v3 (on LunarLanderJax-v0)" in told
    assert told.endswith(f", ppo on {there} seeds ({here})")


def test_seeds_are_averaged_over_arms_before_their_interval(judged):
    # arms shift alike on a seed: three arms are no more evidence than one
    seeds = judged.config.seeds
    shift = dict(zip(seeds, np.random.default_rng(0).normal(3, 5, len(seeds)), strict=True))
    arms = {"ppo": 1.0, "dqn": -2.0, "reinforce": 1.0}
    alike = {arm: {seed: x + own for seed, x in shift.items()} for arm, own in arms.items()}
    found = transfer.together(with_differences(judged, alike))
    values = list(shift.values())
    half = scipy.stats.t.ppf(0.975, len(seeds) - 1) * np.std(values, ddof=1) / len(seeds) ** 0.5
    mean = np.mean(values)
    np.testing.assert_allclose(found, (mean, mean - half, mean + half))
    words = f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]".replace("-", "−")
    caption = transfer.caption(with_differences(judged, alike))
    assert f". All arms together, there less here: {words}." in caption


def test_ranks_are_those_of_all_runs_together(judged):
    runs = len(judged.summary["runs"])
    same = {arm: dict.fromkeys(judged.config.seeds, 7.0) for arm in judged.arms}
    words = f" Rank correlation of the {runs} runs (Spearman's): "
    assert transfer.ranks_words(with_differences(judged, same)) == f"{words}1.00."
    here = {
        arm: {run["seed"]: run["eval_return"] for run in judged.runs_of(arm)} for arm in judged.arms
    }
    turned = {arm: {seed: -3 * x for seed, x in own.items()} for arm, own in here.items()}
    assert transfer.ranks_words(with_differences(judged, turned)) == f"{words}−1.00."
    level = {arm: {seed: 5 - x for seed, x in own.items()} for arm, own in here.items()}
    assert transfer.ranks_words(with_differences(judged, level)) == ""
    few = judged.summary["runs"][::3]  # eight
    assert transfer.ranks_words(judged._replace(summary=judged.summary | {"runs": few})) == ""


def test_a_study_that_is_not_judged_has_no_such_section():
    config = agents.get_config("cartpole")
    found = finished(STUDY, config, {"name": "CartPole-v1"}, unjudged, lambda trial: [], None)
    assert transfer.section(found, {}) == [] and transfer.pairs(found) == {}
    assert transfer.reached_words(found) == "" == transfer.there_words(found, "ppo")
    assert "judged" not in title(found)
    assert remarks(config) == []


def unjudged(trial):
    row = dict.fromkeys(("eval_return", "mean_return", "random_return", "log2_solved"), 1.0)
    return row | {"solved_at": None, "diverged": False}


def test_claims_on_what_was_not_judged_are_not_run(tmp_path):
    config = agents.get_config("lunar")
    config.env.judge = ""
    found = finished(STUDY, config, {"name": "x"}, unjudged, lambda trial: [], tmp_path)
    verdicts = {claim["value"]: claim["verdict"] for claim in found.summary["claims"]}
    assert verdicts["judged_return"] == "not run" != verdicts["log2_solved"]


def test_a_study_of_before_was_not_judged():
    config = agents.get_config("cartpole").to_dict()
    old = json.loads(json.dumps(config))
    del old["env"]["judge"]
    assert with_new_names(old)["env"] == config["env"]
    config["arms"]["ppo"]["env"] = {"max_steps": 9}  # of an arm: what it changes
    assert with_new_names(config) == config
