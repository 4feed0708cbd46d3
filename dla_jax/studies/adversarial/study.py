"""How little has to change until a network is wrong, and does training against it help?

It reads the networks of a finished study of images, or trains them first in several ways. All that
share a seed are attacked, each alone and with the images that were made for the others.
"""

import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.studies import image_networks, run_experiment
from dla_jax.studies.adversarial import checks, photo, report
from dla_jax.studies.adversarial.answer import answer
from dla_jax.studies.adversarial.measure import in_short, measure_networks, strange_scores
from dla_jax.studies.adversarial.trained import trained_of
from dla_jax.studies.cam.arrays import write_arrays
from dla_jax.studies.image_networks import diverged_words, rows_by_network
from dla_jax.studies.ood.checks import sets_there
from dla_jax.studies.ood.detectors import read_network
from dla_jax.studies.ood.sets import drawn, images_of
from dla_jax.studies.study import Command, Description, Study, Tuning
from dla_jax.training.record import Record
from dla_jax.trials.arms import Arm, Trial, mean_score
from dla_jax.trials.finished import make_source, source_of
from dla_jax.trials.grid import Job
from dla_jax.trials.measuring import jobs_by_seed


def describe(config, launch: Launch) -> Description:
    """Return what identifies the networks and their images, and what is to be said of them."""
    workdir = make_source(config, launch, run_experiment)
    networks = rows_by_network(workdir, tuple(config.networks))
    rows = [row for found in networks.values() for row in found]
    own = sets_there(config, image_networks.data_config(workdir), ("near", "far"))
    identity = image_networks.identity(workdir, rows)
    identity |= {
        "network": ", ".join(networks),
        "seeds_of": {name: [row["seed"] for row in found] for name, found in networks.items()},
        "sets": {"near": list(own.near), "far": list(own.far)},
    }
    remarks = [f"{len(rows)} networks, {identity['network']} of {workdir}"]
    remarks += [line for name in networks for line in diverged_words(workdir, name)]
    return Description(identity, remarks)


def arms_of(config, data: dict) -> dict[str, Arm]:
    """Return the networks as arms, that of standard training first."""
    seeds = data["seeds_of"]
    names = sorted(seeds, key=lambda name: name != "standard")
    return {name: Arm(name, config, tuple(seeds[name]), rates=(0.0,)) for name in names}


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each seed, which attacks all its networks."""
    workdir = source_of(config, launch)
    networks = rows_by_network(workdir, tuple(config.networks)).items()
    trained = trained_of(workdir)

    def measure_seed(seed: int, first: bool) -> dict[str, dict]:
        rows = {name: row for name, found in networks for row in found if row["seed"] == seed}
        measured = attack_seed(config, launch, rows, keep=first)
        return {
            name: image_networks.facts_of(rows[name])
            | trained.get(rows[name]["run"], {})
            | in_short(found)
            for name, found in measured.items()
        }

    return jobs_by_seed(trials, record, measure_seed)


def attack_seed(config, launch: Launch, rows: dict[str, dict], keep: bool) -> dict[str, dict]:
    """Return {network: what is measured} of the networks of one seed.

    Args:
      rows: {network: the last row of its run}.
      keep: whether the arrays that pictures are drawn from are kept in the workdir.
    """
    workdir, seed = source_of(config, launch), next(iter(rows.values()))["seed"]
    networks = {name: read_network(workdir, row, "", ("knn",)) for name, row in rows.items()}
    parts = image_networks.parts_of(workdir, launch, seed, names=("train", "test"))
    test = drawn(parts["test"], config.num_images, np.random.default_rng((seed, 5)))
    names = next(iter(networks.values())).class_names
    target = names.index(config.target) if config.target else 0
    found, kept = measure_networks(config, networks, test, target)
    if keep:
        write_arrays(launch.workdir / "attacked.npz", kept)
    own = sets_there(config, image_networks.data_config(workdir), ("near", "far"))
    how = {"config": config, "launch": launch, "workdir": workdir, "seed": seed}
    strange = {
        kind: {name: images_of(name, test, **how) for name in own[kind]} for kind in ("near", "far")
    }
    for name, network in networks.items():
        found[name] |= strange_scores(network, parts["train"], test.images, strange)
        found[name]["target"] = names[target]
    return found


ATTACKED = Study(
    check=checks.check_config,
    describe=describe,
    arms=arms_of,
    labels=lambda arm: {"arm": arm.name},
    jobs=jobs,
    tuning=Tuning("clean_accuracy", mean_score("clean_accuracy")),  # no learning rate is tuned
    unit="seed",
    name=lambda config: "adversarial",
    title=report.title,
    answer=answer,
    question=lambda found: report.QUESTION,
    run_of=report.run_of,
    sections=report.sections,
    lines=report.lines,
    head=report.HEAD_OF_LINES,
    facts=report.facts,
)


def run(config, launch: Launch) -> None:
    """Attack test images, or a photo, and draw the report, or the photo."""
    if config.image:
        photo.run(config, launch)
    else:
        ATTACKED.run(config, launch)


def draw(workdir) -> None:
    """Draw the report of a finished workdir again, or say again what became of a photo."""
    if ConfigDict(read_config(workdir)["config"]).image:
        photo.draw(workdir)
    else:
        ATTACKED.draw(workdir)


def tell(config, launch: Launch) -> str:
    """Return what would be done, in a line."""
    place = source_of(config, launch)
    if config.image:
        return f"attack {config.image} for the best network of {place}"
    return f"attack the networks of {place} by {', '.join(config.attacks)}"


STUDY = Command(check=checks.check_config, tell=tell, run=run, draw=draw)
