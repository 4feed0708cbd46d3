"""Many small jobs of one study, several at a time, in threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import jax

from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.training.mesh import cpu_cores, on_any_process


def at_a_time(configured: int) -> int:
    """Return how many jobs to run side by side.

    `configured` 0 means one a core on a single CPU device, else one. Threads do it: XLA releases
    Python's lock while it computes, all share one compiled program, and a small net keeps no more
    than one core busy. Over several devices jobs come one after another, since their collectives
    would mix.
    """
    if jax.device_count() > 1:
        return 1
    return configured or (cpu_cores() if jax.default_backend() == "cpu" else 1)


def run_all(work: Callable, items: Iterable, workers: int) -> None:
    """Call `work(item)` for each item, `workers` at a time, in order.

    The first exception stops the others and is raised.

    Raises:
      Interrupted: a stop was requested; what was under way has saved its state, the rest was not
        begun.
      Exception: whatever `work` raised.
    """

    def unless_stopped(item):
        if on_any_process(stop_requested.is_set()):
            raise Interrupted
        work(item)

    if (
        workers == 1
    ):  # and no thread: of several processes, each must ask, and stop, at the same item
        for item in items:
            unless_stopped(item)
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(unless_stopped, item) for item in items]
        done, pending = wait(futures, return_when=FIRST_EXCEPTION)
        failures = [future.exception() for future in done if future.exception()]
        if failures and not all(isinstance(failure, Interrupted) for failure in failures):
            stop_requested.set()  # those under way save and stop
        for future in pending:
            future.cancel()
    failures = [
        future.exception() for future in futures if not future.cancelled() and future.exception()
    ]
    failures.sort(
        key=lambda failure: isinstance(failure, Interrupted)
    )  # the cause before its consequences
    if failures:
        raise failures[0]
