"""The ways a run ends before its time."""

import threading
from pathlib import Path

# Set by the signal handlers of launch.py and dla_jax.run. Every loop looks at it where it can save,
# then saves and raises Interrupted.
stop_requested = threading.Event()
STOPPING = "\nstopping: the runs under way save their state; once more to stop at once"


class Interrupted(Exception):
    """The run was asked to stop, and its state is saved."""


class WorkersEnded(Exception):
    """All processes that this one started have ended before their study: why, in a line."""

    def __init__(self, why: str, code: int):
        super().__init__(why)
        self.code = code  # the exit code


class NonFiniteLoss(Exception):
    """The loss became infinite or not a number at optimiser step `step`, counted from 1."""

    def __init__(self, step: int):
        super().__init__(f"the loss became non-finite at step {step}")
        self.step = step


def unwritten(error: Exception, workdir: Path | None) -> str | None:
    """Return why a workdir cannot be written any more, and how to mend it; None: it is not that."""
    said = str(error)
    if "No space left on device" in said:
        return f"no space left on the device of {workdir}; free some"
    if "Disk quota exceeded" in said:
        return f"your disk quota is used up, for {workdir}; free some"
    for words in ("Read-only file system", "Permission denied"):
        if words in said and workdir is not None and str(workdir) in said:
            return f"{workdir} cannot be written any more ({words}); mend that"
    return None
