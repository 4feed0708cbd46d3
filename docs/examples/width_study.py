"""What the study of `width.py` measures and shows beside what studies of networks do."""

import math

from dla_jax.studies.architectures.report import network_run, network_sections
from dla_jax.studies.architectures.study import ARCHITECTURES


def run_of(found, row):
    """Return what the summary keeps of a run, and what claims compare: here the size too."""
    return network_run(found, row) | {"log2_params": math.log2(row["num_params"])}


def sections(found):
    """Return the sections of the report: a table of sizes, then those of every such study."""
    rows = [[name, f"{found.runs_of(name)[0]['log2_params']:.1f}"] for name in found.arms]
    table = {"head": ["network", "log2 of parameters"], "rows": rows}
    return [{"title": "Size", "table": table}, *network_sections(found)]


STUDY = ARCHITECTURES._replace(
    name=lambda config: f"width on {config.data.name}",
    title=lambda found: f"Widths on {found.config.data.name}",
    run_of=run_of,
    sections=sections,
)
