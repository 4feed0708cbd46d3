"""Reads what a study left in its workdir."""

import orbax.checkpoint as ocp

from dla_jax.evidence.rows import read_record

TIMES = ("seconds", "examples_per_s", "env_steps_per_s", "train_seconds", "seconds_per_epoch")


def rows_of(workdir):
    """Return the record without times, by run."""
    by_run = {}
    for row in read_record(workdir):
        kept = {key: value for key, value in row.items() if key not in TIMES}
        by_run.setdefault(row["run"], []).append(kept)
    return by_run


def last_rows_of(workdir):
    """Return the last rows of all finished runs, by run."""
    return {row["run"]: row for row in read_record(workdir) if row.get("done")}


def models_of(workdir):
    """Return the saved models of all runs, by folder."""
    with ocp.StandardCheckpointer() as checkpointer:
        return {
            str(path.relative_to(workdir)): checkpointer.restore(path.absolute())
            for path in sorted((workdir / "checkpoints").rglob("model"))
        }


def best_row(study):
    rows = [row for name, row in last_rows_of(study).items() if name.startswith("final/")]
    return max(rows, key=lambda row: row["val_accuracy"])
