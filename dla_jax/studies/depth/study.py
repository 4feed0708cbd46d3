"""Does depth help residual nets and not plain ones? Why: skip, initialisation, norm, learning rate?

Each kind of net at each depth is an arm. It first gets its own learning rate: one grid, chosen on
validation, with seeds that are not those of the final runs. Then arms x seeds, paired by seed. Then
the claims of the config get their verdicts.
"""

import functools

from dla_jax.config.workdir import Launch
from dla_jax.data import splits
from dla_jax.studies.architectures.study import jobs
from dla_jax.studies.depth import report
from dla_jax.studies.depth.answer import answer
from dla_jax.studies.depth.arms import arms_of, claims_of, labels_of, left_out_depths
from dla_jax.studies.depth.checks import check_config
from dla_jax.studies.study import Description, Study, Tuning, data_facts
from dla_jax.tasks import classifier, image_data, image_restored


def describe(config, launch: Launch) -> Description:
    """Return what identifies the images, and what is to be said of them."""
    image_set = image_data.read(config, launch)
    remarks = [*splits.remarks(image_set), *left_out_depths(config)]
    return Description(image_data.identity_of(config, image_set), remarks)


STUDY = Study(
    check=check_config,
    describe=describe,
    arms=arms_of,
    labels=labels_of,
    claims=claims_of,
    jobs=jobs,
    tuning=Tuning("val_accuracy", classifier.rate_score),
    unit="img",
    name=lambda config: f"depth, {config.model.name} on {config.data.name}",
    title=report.title,
    answer=answer,
    question=lambda found: report.QUESTION,
    run_of=report.run_of,
    more=report.secondary,
    sections=report.sections,
    lines=report.lines,
    head="test accuracy, % [95 % interval]",
    facts=functools.partial(data_facts, counted="examples"),
    restore=image_restored.restore,
)
