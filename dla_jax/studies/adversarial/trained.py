"""How accuracy went while networks were trained against attacks, from their study's record."""

from pathlib import Path

from dla_jax.evidence.rows import brief, read_record
from dla_jax.tasks.adversarial_task import KEYS

CURVES = {  # of validation images: keys of the networks' study to those of this one
    "step": "trained_step_curve",
    "val_accuracy": "trained_clean_curve",
    KEYS[0]: "trained_fgsm_curve",
    KEYS[1]: "trained_pgd_curve",
}


def trained_of(workdir: Path) -> dict[str, dict]:
    """Return {run: what is known of its training} of those that were trained against an attack.

    Of a run: the curves of `CURVES`, a value an evaluation; "pgd_last", accuracy under PGD at the
    last one, where training ended; "pgd_lost", by how much it is below the best, which is kept; and
    "overfitted_at".

    Args:
      workdir: of the networks' study.
    """
    evaluated, ended = {}, {}
    for row in read_record(workdir):
        if row.get("done"):
            ended[row["run"]] = row
        elif KEYS[1] in row:
            evaluated.setdefault(row["run"], []).append(row)
    return {run: _of_run(rows, ended[run]) for run, rows in evaluated.items() if run in ended}


def _of_run(rows: list[dict], last: dict) -> dict:
    """Return what is known of a training; args: its evaluations, and the last row of the run."""
    found = brief({name: [row[key] for row in rows] for key, name in CURVES.items()})
    under_pgd = [value for value in (row[KEYS[1]] for row in rows) if value is not None]
    # One that diverged ends by guessing, as its last row says.
    end = last[KEYS[1]] if last["diverged"] or not under_pgd else under_pgd[-1]
    return found | {
        "pgd_last": end,
        "pgd_lost": max([end, *under_pgd]) - end,
        "overfitted_at": last["overfitted_at"],
    }
