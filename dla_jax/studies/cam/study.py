"""Where does a network look, is the map right, and what does it say of one's own photo?

It reads the networks of a finished study. It makes class activation maps of test images, of photos,
and of a canvas. Then it asks whether the maps are right: pixels are put back and taken away in
their order, and the network is made to forget.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from dla_jax.config.checks import check, check_choice, check_rules, choice, count, distinct, number
from dla_jax.config.info import data_info
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.studies import find, image_networks, run_experiment
from dla_jax.studies.begun import words_of_unfinished
from dla_jax.studies.cam import examples, measure, network_maps, photo_maps, report
from dla_jax.studies.cam.answer import answer
from dla_jax.studies.cam.arrays import write_arrays
from dla_jax.studies.study import Command, Description, Study, Tuning
from dla_jax.tasks import image_data, image_task
from dla_jax.training.record import Record
from dla_jax.trials.arms import Arm, Trial, mean_score
from dla_jax.trials.finished import check_source, made_launch, make_source, source_of
from dla_jax.trials.grid import Job
from dla_jax.trials.measuring import jobs_by_seed

RULES = {
    "methods": distinct(choice(network_maps.METHODS)),
    "num_shown": count(),
    "num_scored": count(),
    "num_steps": count(),
    "blur": number(above=0),
    "scale": number(low=1, high=16),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for what no map can be made of, before anything slow.

    That is a wrong config, workdir or photo.
    """
    check(jax.process_count() == 1, "--multihost: one process draws maps; leave it out")
    check_source(config, launch, "CNNs", "runs/try1")
    check_rules(config, RULES)
    check(
        config.methods[0] in network_maps.EXPLAIN,
        f"methods: {config.methods[0]} is the first, which is drawn; give "
        f"{' or '.join(network_maps.EXPLAIN)} there",
    )
    check(
        "another_image" not in config.methods or min(config.num_shown, config.num_scored) > 1,
        "num_shown, num_scored: another_image needs two images or more; give 2, or leave it out of "
        "methods",
    )
    check(
        config.num_scored <= 1000,
        f"num_scored: {config.num_scored} must be at most 1000: they are scored together",
    )
    check(len(config.canvas) == 2, f"canvas: {config.canvas} is not (rows, columns)")
    for size in config.canvas:
        count()("canvas", size)
    if config.image:
        photo_maps.check_photos(config)
    if config.made:
        check_made(config, made_launch(launch))
        return
    best = networks_of(config, launch)[0]
    model = network_maps.read_network(launch.from_dir, best, config.layer).model
    network_maps.check_methods(config, model, best["group"])
    if not config.image:
        image_networks.load(launch.from_dir, launch)


def check_made(config, launch: Launch) -> None:
    """Raise ConfigError for a study to be made first, or for what its networks cannot answer."""
    made = find(config.made.experiment)
    made.check(config.made, launch)
    image_set = image_data.read(config.made, launch)
    info = image_data.info_of(image_set)
    arms = made.arms(config.made, image_set.identity)
    if config.network:
        check_choice("network", config.network, tuple(arms))
    for name in [config.network] if config.network else arms:
        model = image_task.make_model(arms[name].config, info)
        network_maps.check_layer(model, info.shape, config.layer, name)
        network_maps.check_methods(config, model, name)


def networks_of(config, launch: Launch) -> list[dict]:
    """Return the last rows of the networks that are looked at, the best on validation first.

    Of an unfinished study they are those of the runs that are done. A workdir that was begun goes
    on with the networks that it began with, whatever runs are done since.

    Raises:
      ConfigError: the study holds no such classifier of images.
    """
    workdir = source_of(config, launch)
    rows = image_networks.networks_of(workdir, config.network, unfinished=True)
    if not (launch.workdir / "config.json").is_file():
        return rows
    begun = {"network": None, "seeds": []} | read_config(launch.workdir)["data"]
    every = image_networks.rows_by_network(workdir, (), unfinished=True)
    own = [row for row in every.get(begun["network"], ()) if row["seed"] in begun["seeds"]]
    if not own or len(own) < len(begun["seeds"]):
        return rows  # others than it began with, which is said where data are compared
    return image_networks.best_first(own)


def describe(config, launch: Launch) -> Description:
    """Return what identifies the networks and their images, and what is to be said of them."""
    workdir = make_source(config, launch, run_experiment)
    rows = networks_of(config, launch)
    said = f"{len(rows)} networks, {rows[0]['group']} of {workdir}"
    remarks = [*words_of_unfinished(workdir), said]
    test = image_networks.test_part(workdir, launch, rows[0]["seed"])
    if len(test.index) < config.num_scored:
        num_test = len(test.index)
        remarks.append(f"num_scored: the test part has but {num_test} images; all are scored")
    return Description(image_networks.identity(workdir, rows), remarks)


def arms_of(config, data: dict) -> dict[str, Arm]:
    """Return the methods as arms; their seeds are those of the networks.

    Records of earlier versions only say how many networks there are.
    """
    seeds = tuple(data["seeds"] if "seeds" in data else range(data["num_networks"]))
    return {name: Arm(name, config, seeds, rates=(0.0,)) for name in config.methods}


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each network, which measures all methods."""
    workdir, rows = source_of(config, launch), networks_of(config, launch)
    number = {row["seed"]: i for i, row in enumerate(rows)}

    def measure_seed(seed: int, first: bool) -> dict[str, dict]:
        row, after = rows[number[seed]], rows[(number[seed] + 1) % len(rows)]
        following = after if after is not row else None
        found = measure_network(config, launch, workdir, row, following, keep=first)
        facts = image_networks.facts_of(row)
        return {method: facts | scores for method, scores in found.items()}

    return jobs_by_seed(trials, record, measure_seed)


def measure_network(
    config, launch: Launch, workdir: Path, row: dict, following: dict | None, keep: bool
) -> dict[str, dict]:
    """Return {method: what is measured} of one network.

    Args:
      row: the last row of the network's run.
      following: that of another network, whose maps are compared.
      keep: whether the arrays that pictures are drawn from are kept in the workdir.
    """
    network = network_maps.read_network(workdir, row, config.layer)
    test = image_networks.test_part(workdir, launch, row["seed"])
    other, unseen = None, np.zeros(len(test.index), bool)
    if following:
        other = network_maps.read_network(workdir, following, config.layer)
        if other.class_names != network.class_names:
            other = None  # its maps are of other classes
        theirs = image_networks.test_part(workdir, launch, following["seed"])
        unseen = np.isin(test.index, theirs.index)
    p = network_maps.predict(network, test.images)
    image_networks.check_same(row, (p.argmax(-1) == test.labels).mean(), workdir)
    mean = data_info(read_config(workdir)["data"]).mean
    on_canvas, canvas = examples.on_canvases(config, network, test, p, mean)
    if keep:
        shown = examples.shown(config, network, test, p)
        write_arrays(launch.workdir / "examples.npz", shown)
        write_arrays(launch.workdir / "canvas.npz", canvas)
    found = measure.measure(config, network, other, unseen, test, p, mean)
    return {method: on_canvas | scores for method, scores in found.items()}


MAPS = Study(
    check=check_config,
    describe=describe,
    arms=arms_of,
    labels=lambda arm: {"arm": arm.name},
    jobs=jobs,
    tuning=Tuning("insertion_auc", mean_score("insertion_auc")),  # nothing is tuned
    unit="network",
    name=lambda config: "cam",
    title=report.title,
    answer=answer,
    question=lambda found: report.QUESTION,
    run_of=report.run_of,
    sections=report.sections,
    lines=report.lines,
    head=", ".join(report.HEAD[:4]),
    facts=report.facts,
    also=("overlays",),
)


def run(config, launch: Launch) -> None:
    """Make the maps of test images, or of photos, and draw the report."""
    if not config.image:
        MAPS.run(config, launch)
        return
    workdir = make_source(config, launch, run_experiment)
    rows = networks_of(config, launch)
    for line in words_of_unfinished(workdir):
        print(line, file=sys.stderr)
    best = network_maps.read_network(workdir, rows[0], config.layer)
    network_maps.check_methods(config, best.model, rows[0]["group"])
    photo_maps.run(config, launch, best, image_networks.identity(workdir, rows))


def draw(workdir: Path) -> None:
    """Draw the report of a finished workdir again."""
    if read_config(workdir)["config"]["image"]:
        photo_maps.draw(workdir)
    else:
        MAPS.draw(workdir)


def tell(config, launch: Launch) -> str:
    """Return what would be done, in a line."""
    place = source_of(config, launch)
    if config.image:
        return f"draw maps of {config.image} by the best network of {place}"
    methods = ", ".join(config.methods)
    return f"draw and judge maps of test images, by {methods}, of the networks of {place}"


STUDY = Command(check=check_config, tell=tell, run=run, draw=draw)
