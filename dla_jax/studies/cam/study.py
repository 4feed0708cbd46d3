"""Where does a network look, is the map right, and what does it say of one's own photo?

Reads the networks of a finished study. Class activation maps of test images, of photos, and of a canvas; then whether the maps
are right: pixels are put back and taken away in their order, and the network is made to forget.
"""

import functools
import hashlib
import json
import sys
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import check, check_choice, check_count, check_distinct, check_number
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Run, read_config
from dla_jax.data import images, splits
from dla_jax.studies.cam import examples, measure, photo_maps
from dla_jax.studies.cam.report import draw as draw
from dla_jax.studies.cam.report import write_arrays
from dla_jax.studies.depth import arms, study
from dla_jax.tasks import image_runs
from dla_jax.training.record import Record, progress_line
from dla_jax.trials import finished
from dla_jax.trials.grid import Setting, begin


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config, a workdir, or photos that no map can be made of, before anything slow."""
    check(jax.process_count() == 1, "--multihost: one process draws maps; leave it out")
    check(
        run.from_dir is not None or bool(config.made),
        "--from is missing; give the workdir of a finished study of CNNs, as in --from=runs/try1",
    )
    check(
        run.from_dir is None or not config.made,
        "--from: this preset makes its own model; leave it out",
    )
    check_distinct(
        "methods", config.methods, lambda key, method: check_choice(key, method, measure.METHODS)
    )
    check(
        config.methods[0] in measure.EXPLAIN,
        f"methods: {config.methods[0]} is the first, which is drawn; give {' or '.join(measure.EXPLAIN)} there",
    )
    for key in ("num_shown", "num_scored", "num_steps"):
        check_count(key, config[key])
    check(
        "another_image" not in config.methods or min(config.num_shown, config.num_scored) > 1,
        "num_shown, num_scored: another_image needs two images or more; give 2, or leave it out of methods",
    )
    check(
        config.num_scored <= 1000,
        f"num_scored: {config.num_scored} must be at most 1000: they are scored together",
    )
    check(len(config.canvas) == 2, f"canvas: {config.canvas} is not (rows, columns)")
    for size in config.canvas:
        check_count("canvas", size)
    check_number("blur", config.blur, above=0)
    check_number("scale", config.scale, low=1, high=16)
    if config.image:
        photo_maps.check_photos(config)
    if config.made:
        check_made(config, finished.made_run(run))
        return
    best = networks_of(run.from_dir, config.network)[0]
    measure.check_methods(
        config, measure.read_network(run.from_dir, best, config.layer).model, best["group"]
    )
    if not config.image:
        load(run.from_dir, run)


def check_made(config, run: Run) -> None:
    """Raises ConfigError for a study that is to be made first, or for what cannot be asked of its networks."""
    study.check_config(config.made, run)
    image_set = image_runs.load(config.made, run)
    setting = Setting(config.made, {}, None, None, None, None, image_set)
    made = {cell.group: cell for cell in arms.final_cells(config.made)}
    if config.network:
        check_choice("network", config.network, tuple(made))
    for group in [config.network] if config.network else made:
        model = study.make_model(
            setting, made[group].depth, arms.arm_of(config.made, made[group].arm)
        )
        measure.check_layer(model, image_set.images.shape[1:], config.layer, group)
        measure.check_methods(config, model, group)


def networks_of(workdir: Path, network: str) -> list[dict]:
    """The last rows of the runs of one network of image classifiers, that which is best on validation first; without a name
    all those of the best run's network."""
    rows = finished.finished_runs(workdir, network, finished.IMAGES, "classifier of images")
    rows.sort(key=lambda row: -row["val_accuracy"])
    return [row for row in rows if row["group"] == rows[0]["group"]]


@functools.lru_cache(maxsize=1)
def load(workdir: Path, run: Run) -> images.ImageSet:
    """The images that the study of a workdir was made with.

    Raises:
      ConfigError: they are gone, or others.
    """
    written = read_config(workdir)
    data = ConfigDict(written["config"]["data"])
    images.check_config(data, run.data_dir, run.download)
    image_set = images.load(data, run.data_dir, run.download)
    check(
        image_set.identity["fingerprint"] == written["data"]["fingerprint"],
        f"--from: the images of {data.name} are others than when {workdir} was made; train again",
    )
    copies = {key: written["data"].get(key) for key in splits.counted_copies(image_set)}
    check(
        copies == splits.counted_copies(image_set),
        f"--from: {workdir} is of an earlier version, with copies of an image in training and test; train again",
    )
    return image_set


def run(config, run: Run) -> None:
    """Makes the maps of test images, or of photos, in `run.workdir`, and draws the report."""
    workdir = finished.workdir_of(config, run, study.run)
    rows, data = networks_of(workdir, config.network), read_config(workdir)["data"]
    best = measure.read_network(workdir, rows[0], config.layer)
    measure.check_methods(config, best.model, rows[0]["group"])
    kept = {key: data[key] for key in ("name", "fingerprint", "class_names")}
    begin(
        config,
        run,
        kept
        | {
            "network": rows[0]["group"],
            "num_networks": len(rows),
            "networks": fingerprint(rows),
            "photos": photo_maps.fingerprints(config) if config.image else {},
        },
    )
    if config.image:
        photo_maps.look(config, run, best)
    else:
        measure_all(config, run, workdir, rows)
    draw(run.workdir)


def fingerprint(rows: list[dict]) -> str:
    """Of the runs whose networks are looked at: what they reached, not how fast."""
    kept = [
        {
            key: row[key]
            for key in ("run", "lr", "step", "val_accuracy", "test_accuracy", "test_loss")
        }
        for row in rows
    ]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def measure_all(config, run: Run, workdir: Path, rows: list[dict]) -> None:
    """Measures the networks of one group, one row of the record for each method and network, and keeps what is to be drawn."""
    image_set, record = load(workdir, run), Record(run.workdir)
    left = [row for row in rows if run_name(config.methods[-1], row) not in record.done]
    done = f", {len(rows) - len(left)} of them done before" if len(left) < len(rows) else ""
    print(f"{len(rows)} networks, {rows[0]['group']} of {workdir}{done}", file=sys.stderr)
    num_test = len(
        test_part(image_set, read_config(workdir)["config"]["data"], rows[0]["seed"]).index
    )
    if num_test < config.num_scored:
        print(
            f"num_scored: the test part has but {num_test} images; all are scored", file=sys.stderr
        )
    with progress_line(len(left), run.quiet, "network") as progress:
        for row in left:
            following = rows[(rows.index(row) + 1) % len(rows)] if len(rows) > 1 else None
            for measured in measure_network(
                config, run, workdir, row, following, image_set, keep=row is rows[0]
            ):
                if (
                    measured["run"] not in record.done
                ):  # a launch that was killed between the rows of a network
                    record.append(measured)
            progress.update(1)
            if stop_requested.is_set():
                raise Interrupted
    record.close()


def measure_network(
    config, run: Run, workdir: Path, row: dict, following: dict | None, image_set, keep: bool
) -> list[dict]:
    """The rows of one network, and with `keep` the arrays that pictures are drawn from. `following`: the row of another."""
    network, data = (
        measure.read_network(workdir, row, config.layer),
        read_config(workdir)["config"]["data"],
    )
    test = test_part(image_set, data, row["seed"])
    other, unseen = None, np.zeros(len(test.index), bool)
    if following:
        other = measure.read_network(workdir, following, config.layer)
        unseen = np.isin(test.index, test_part(image_set, data, following["seed"]).index)
    p = measure.predict(network, test.images)
    check_same(network, (p.argmax(-1) == test.labels).mean(), workdir)
    on_canvas, canvas = examples.on_canvases(config, network, test, p, image_set.mean)
    if keep:
        write_arrays(run.workdir / "examples.npz", examples.shown(config, network, test, p))
        write_arrays(run.workdir / "canvas.npz", canvas)
    found = measure.measure(config, network, other, unseen, test, p, image_set.mean)
    return [last_row(method, row) | on_canvas | scores for method, scores in found.items()]


def check_same(network: measure.Network, accuracy: float, workdir: Path) -> None:
    """Raises ConfigError when the network does not answer as it did when it was tested."""
    recorded = network.row["test_accuracy"]
    check(
        abs(recorded - accuracy) <= 0.005,
        f"--from: {network.row['run']} of {workdir} had {100 * recorded:.1f} % of its test "
        f"part right, and now has {100 * accuracy:.1f} %; train it again",
    )


def run_name(method: str, row: dict) -> str:
    """Of a method and a network."""
    return f"{method}/seed{row['seed']}"


def last_row(method: str, row: dict) -> dict:
    """What the record says of a method and a network beside its scores."""
    kept = (
        "seed",
        "lr",
        "num_params",
        "val_accuracy",
        "test_accuracy",
        "test_loss",
        "diverged",
        "train_seconds",
        "step",
    )
    return {
        "run": run_name(method, row),
        "done": True,
        "stage": "final",
        "arm": method,
        "group": method,
        "network": row["group"],
        **{key: row[key] for key in kept},
    }


def test_part(image_set: images.ImageSet, data: dict, seed: int) -> measure.Examples:
    """The test part of a seed."""
    index = splits.split(image_set, seed, data["val_fraction"], data["test_fraction"])["test"]
    return measure.Examples(image_set.images[index], image_set.labels[index], index)
