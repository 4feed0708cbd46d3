"""What the study of `width.py` measures beside what studies of networks do."""

from dla_jax.studies.architectures.report import network_run
from dla_jax.studies.architectures.study import ARCHITECTURES


def run_of(found, row):
    """Return what the summary keeps of a run, and what claims compare: here the errors too."""
    return network_run(found, row) | {"errors_in_100": 100 * (1 - row["test_accuracy"])}


STUDY = ARCHITECTURES._replace(
    name=lambda config: f"width on {config.data.name}",
    title=lambda found: f"Widths on {found.config.data.name}",
    run_of=run_of,
)
