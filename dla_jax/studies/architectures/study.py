"""Which of several networks is best on one image set, by how much, and what does each cost?

Every network of the config is the config itself with its own overrides. Each first gets its own
learning rate, unless it brings one; then networks x seeds, paired by seed. Then the claims of the
config get their verdicts.
"""

import functools

from dla_jax.config.checks import check, check_choice, check_distinct
from dla_jax.config.elsewhere import is_own
from dla_jax.config.workdir import Launch
from dla_jax.data import splits
from dla_jax.evidence.pairs import Measure
from dla_jax.models import own_network
from dla_jax.models.build import check_depth
from dla_jax.models.resnet import stages_of
from dla_jax.studies.architectures import report
from dla_jax.studies.study import Description, Finished, Study, Tuning, data_facts
from dla_jax.tasks import classifier, image_data, image_restored, image_task
from dla_jax.training.record import Record
from dla_jax.trials.arms import Arm, Trial, check_arms, resolve
from dla_jax.trials.grid import Job
from dla_jax.trials.training import jobs_of

STAND_IN = "dla_jax.models.linear:Linear"  # of configs/own.py


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a config that this study cannot run, before anything slow.

    It reads the data, and checks that last.
    """
    for network in config.pair:
        check_choice("pair", network, tuple(config.networks))
    check(
        len(config.pair) in (0, 2),
        f"pair: {config.pair} has {len(config.pair)} networks; give two, or none",
    )
    check_arms(config, functools.partial(check_network, launch=launch))
    image_set = image_data.check_data(config, launch)
    for arm in resolve(config).values():
        image_data.check_fit(arm.config, image_set)


def check_network(own, launch: Launch) -> None:
    """Raise ConfigError for the config of a network that cannot be built or trained."""
    image_task.check_config(own, launch)
    if is_own(own.model.name):
        return
    check_depth(own.model, "model.depth", own.model.depth)
    if own.model.name != "resnet":
        return
    num_stages = len(stages_of(own.model.depth, own.model.bottleneck)[0])

    def check_stage(key: str, stage: int) -> None:
        known = range(1, num_stages + 1)
        check(stage in known, f"{key}: there is no stage {stage}; 1 to {num_stages}")

    check_distinct("model.plain_stages", own.model.plain_stages, check_stage, empty=True)


def describe(config, launch: Launch) -> Description:
    """Return what identifies the images, and what is to be said of them."""
    image_set = image_data.read(config, launch)
    identity = image_data.identity_of(config, image_set) | codes_of(config)
    return Description(identity, [*stand_ins(config), *splits.remarks(image_set)])


def stand_ins(config) -> list[str]:
    """Return a line for each network of one's own that was not named, as configs/own.py has it."""
    return [
        f"{arm.name}: no network was named, and one dense layer ({STAND_IN}) stands in for yours; "
        "give --config.model.name=package.module:Class"
        for arm in resolve(config).values()
        if arm.config.model.name == STAND_IN
    ]


def codes_of(config) -> dict[str, str]:
    """Return fingerprints of the code of the networks of one's own that are compared."""
    found: dict[str, str] = {}
    for name in sorted({arm.config.model.name for arm in resolve(config).values()}):
        if is_own(name):
            found |= own_network.codes_of(name)
    return found


def facts(found: Finished) -> dict[str, str]:
    """Return what the report says of the data, and the code of networks of one's own."""
    codes = {key: code for key, code in found.written["data"].items() if key.startswith("code of")}
    lines = stand_ins(found.config)
    told = {"network": " ".join(lines)} if lines else {}
    return data_facts(found, counted="examples") | told | codes


def jobs(
    config, launch: Launch, arms: dict[str, Arm], trials: list[Trial], record: Record
) -> list[Job]:
    """Return a job for each run."""
    loaded = image_data.load(config, launch)

    def make_task(trial: Trial):
        return image_task.make_task(arms[trial.arm].config, loaded, trial.seed)

    return jobs_of(make_task, trials, launch.workdir, record)


def labels_of(arm: Arm) -> dict:
    """Return what the summary says of a network beside its name."""
    own = is_own(arm.config.model.name)
    return {"arm": arm.name, "depth": None if own else arm.config.model.depth}


ARCHITECTURES = STUDY = Study(
    check=check_config,
    describe=describe,
    labels=labels_of,
    jobs=jobs,
    tuning=Tuning("val_accuracy", classifier.rate_score),
    unit="img",
    name=lambda config: f"{config.experiment} on {config.data.name}",
    title=lambda found: f"Networks on {found.config.data.name}",
    answer=report.answer,
    run_of=report.network_run,
    sections=report.sections,
    lines=report.lines,
    head="test accuracy, % [95 % interval]",
    facts=facts,
    measure=Measure("test_accuracy", "points", margin=0.005, words="test accuracy"),
    restore=image_restored.restore,
)
