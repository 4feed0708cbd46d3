"""Does a network know what it does not know? Detectors of strange images, judged on many sets.

It reads the networks of a finished study of images, or trains them first. Each detector is fitted
on a network's training part, its settings are chosen on strange sets that are kept for it, and it
is judged by how well it tells test images from other strange sets.
"""

from dla_jax.config.workdir import Launch
from dla_jax.studies import image_networks, run_experiment
from dla_jax.studies.cam.arrays import write_arrays
from dla_jax.studies.ood import checks, detectors, report
from dla_jax.studies.ood.answer import answer
from dla_jax.studies.ood.measure import AS_IMPLEMENTED, measure
from dla_jax.studies.ood.sets import drawn_logits, sets_of
from dla_jax.studies.study import Command, Description, Study, Tuning
from dla_jax.training.record import Record
from dla_jax.trials.arms import Arm, Trial, mean_score
from dla_jax.trials.finished import make_source, source_of
from dla_jax.trials.grid import Job
from dla_jax.trials.measuring import jobs_by_seed


def describe(config, launch: Launch) -> Description:
    """Return what identifies the networks and their images, and what is to be said of them."""
    workdir = make_source(config, launch, run_experiment)
    rows = image_networks.networks_of(workdir, config.network)
    remarks = [f"{len(rows)} networks, {rows[0]['group']} of {workdir}"]
    own = checks.sets_there(config, image_networks.data_config(workdir))
    remarks += checks.left_out_words(config, own)
    remarks += image_networks.diverged_words(workdir, rows[0]["group"])
    identity = image_networks.identity(workdir, rows)
    sets = {"near": list(own.near), "far": list(own.far), "tuning": list(own.tuning)}
    return Description(identity | {"sets": sets}, remarks)


def arms_of(config, data: dict) -> dict[str, Arm]:
    """Return the detectors as arms; their seeds are those of the networks."""
    names = [*config.detectors]
    if "odin" in names:
        names.insert(names.index("odin") + 1, AS_IMPLEMENTED)
    seeds = tuple(data["seeds"])
    return {name: Arm(name, config, seeds, rates=(0.0,)) for name in names}


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each network, which measures all detectors."""
    workdir = source_of(config, launch)
    rows = {row["seed"]: row for row in image_networks.networks_of(workdir, config.network)}

    def measure_seed(seed: int, first: bool) -> dict[str, dict]:
        found = measure_network(config, launch, rows[seed], keep=first)
        facts = image_networks.facts_of(rows[seed])
        return {detector: facts | scores for detector, scores in found.items()}

    return jobs_by_seed(trials, record, measure_seed)


def measure_network(config, launch: Launch, row: dict, keep: bool) -> dict[str, dict]:
    """Return {detector: what is measured} of one network.

    Args:
      row: the last row of the network's run.
      keep: whether the arrays that pictures are drawn from are kept in the workdir.
    """
    workdir = source_of(config, launch)
    own = checks.sets_there(config, image_networks.data_config(workdir))
    network = detectors.read_network(workdir, row, config.layer, tuple(config.detectors))
    shown = sets_of(own, launch, workdir, row["seed"])
    test = image_networks.test_part(workdir, launch, row["seed"])
    logits = detectors.look(network, test.images)[0]
    image_networks.check_same(row, (logits.argmax(-1) == test.labels).mean(), workdir)
    logits = drawn_logits(logits, test, shown.test)
    found, kept = measure(own, network, shown, logits, keep)
    if keep:
        write_arrays(launch.workdir / "scores.npz", kept)
    return found


OOD = Study(
    check=checks.check_config,
    describe=describe,
    arms=arms_of,
    labels=lambda arm: {"arm": arm.name},
    jobs=jobs,
    tuning=Tuning("near_auroc", mean_score("noise_auroc")),  # no learning rate is tuned
    unit="network",
    name=lambda config: "ood",
    title=report.title,
    answer=answer,
    question=lambda found: report.QUESTION,
    run_of=report.run_of,
    sections=report.sections,
    lines=report.lines,
    head=report.HEAD_OF_LINES,
    facts=report.facts,
)


def tell(config, launch: Launch) -> str:
    """Return what would be done, in a line."""
    names = ", ".join(config.detectors)
    return f"measure {names} with the networks of {source_of(config, launch)}"


STUDY = Command(check=checks.check_config, tell=tell, run=OOD.run, draw=OOD.draw)
