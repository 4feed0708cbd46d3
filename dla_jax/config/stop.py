"""The ways a run ends before its time."""

import threading

# Set by the signal handler of launch.py. Every loop looks at it where it can save, then saves and
# raises Interrupted.
stop_requested = threading.Event()


class Interrupted(Exception):
    """The run was asked to stop, and its state is saved."""


class NonFiniteLoss(Exception):
    """The loss became infinite or not a number at optimiser step `step`, counted from 1."""

    def __init__(self, step: int):
        super().__init__(f"the loss became non-finite at step {step}")
        self.step = step
