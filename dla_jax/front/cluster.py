"""Workers as tasks of a Slurm cluster, or of this machine, started by submitit.

Imports nothing that is slow: each task imports it.

Reference: https://github.com/facebookincubator/submitit.
"""

import contextlib
import io
import os
import pickle
import shutil
import signal
import subprocess
import time
from pathlib import Path

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.flags import TYPED, Sharing
from dla_jax.config.project import INSTALLED, ROOT, install_words
from dla_jax.front.processes import Ended, Start, new_log, start

OF_SUBMITIT = (signal.SIGUSR1, signal.SIGUSR2)
POLL = 0.2  # seconds between two looks at a process
ASK = 5.0  # seconds between two questions to Slurm
MINUTES, LEAST_MINUTES = 60, 5  # of a task; submitit warns it 90 s before its end


class Task:
    """A worker, as submitit runs it on some machine of a cluster."""

    def __init__(self, given: Start):
        self._given, self._process = given, None

    def __call__(self) -> int:
        """Be at work until the study is finished, and return the worker's exit code."""
        # What submitit is told by them is not for the worker, which they would end.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in OF_SUBMITIT}
        self._process = start(self._given)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGTERM, self._ask)  # as Slurm sends it before it ends a task
        return self._wait()

    def checkpoint(self):
        """Let the worker save its state and stop, and say what goes on elsewhere, or later.

        submitit calls it when the task's time is nearly over, or others need its place.
        """
        import submitit

        self._ask(signal.SIGTERM, None)
        self._wait()
        return submitit.helpers.DelayedSubmission(Task(self._given))

    def _ask(self, number: int, frame) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def _wait(self) -> int:
        # `Popen.wait` may not be called again by a signal that interrupts it.
        while (code := self._process.poll()) is None:
            time.sleep(POLL)
        return code


def check_cluster(sharing: Sharing) -> None:
    """Raise ConfigError where tasks cannot be started from here."""
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise ConfigError(
            f"--submit needs submitit; install it with: {install_words('cluster')}"
        ) from None
    check(
        sharing.submit != "slurm" or shutil.which("sbatch") is not None,
        "--submit=slurm: there is no sbatch here; start it on a machine of the cluster from which "
        "jobs are submitted, or give --submit=local",
    )
    check(
        sharing.minutes is None or sharing.minutes >= LEAST_MINUTES,
        f"--minutes: {sharing.minutes} is too short to save in time; give {LEAST_MINUTES} or more",
    )


class Tasks:
    """Workers as tasks, a job array of Slurm or processes of this machine."""

    def __init__(self, command: list[str], folder: Path, typed: str, sharing: Sharing):
        import submitit

        self._slurm, self._asked, self._states = sharing.submit == "slurm", 0.0, []
        self._logs = [new_log(folder.absolute()) for _ in range(sharing.tasks)]
        tasks = [
            Task(Start(command, log, {TYPED: typed} | self._own(sharing, i)))
            for i, log in enumerate(self._logs)
        ]
        many = {f"{sharing.submit}_max_num_timeout": 1_000_000}
        executor = submitit.AutoExecutor(folder / "submitit", cluster=sharing.submit, **many)
        executor.update_parameters(**self._parameters(sharing))
        if not INSTALLED:  # the tasks find this folder's code wherever they start
            found = os.environ.get("PYTHONPATH")
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), found]))
        # Ctrl-C is for this process, which says so to the tasks in its own way.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():
                self._jobs = [executor.submit(task) for task in tasks]
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as e:
            for log in self._logs:
                log.unlink()
            raise ConfigError(refused_words(str(e))) from None
        finally:
            signal.signal(signal.SIGINT, before)

    def _own(self, sharing: Sharing, number: int) -> dict[str, str]:
        """Return the variables of one task: its GPUs on this machine; Slurm gives its own."""
        if self._slurm:
            return {}
        first = number * (sharing.gpus or 0)
        gpus = range(first, first + (sharing.gpus or 0))
        return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}

    def _parameters(self, sharing: Sharing) -> dict:
        """Return what submitit is told of a task."""
        cpus = sharing.cpus or 1
        found = {
            "name": "dla_jax",
            "timeout_min": sharing.minutes or MINUTES,
            "cpus_per_task": cpus,
        }
        if sharing.gpus:
            found["gpus_per_node"] = sharing.gpus
        if self._slurm:
            # srun, which submitit starts a task by, has to be told again since Slurm 22.05.
            found["slurm_setup"] = [f"export SRUN_CPUS_PER_TASK={cpus}"]
            found |= {"slurm_partition": sharing.partition} if sharing.partition else {}
        return found

    @property
    def job(self) -> str:
        """What Slurm calls the job array."""
        return self._jobs[0].job_id.partition("_")[0]

    def under_way(self) -> int:
        """Return how many run or wait for a place."""
        if not self._slurm:
            return sum(not job.done() for job in self._jobs)
        if time.monotonic() - self._asked > ASK:
            self._states, self._asked = states_of(self.job), time.monotonic()
        return len(self._states)

    def words(self) -> str:
        """Return the same in words."""
        if not self._slurm:
            return f"{self.under_way()} tasks"
        running = self._states.count("RUNNING")
        return f"job {self.job}: {running} tasks run, {len(self._states) - running} wait"

    def stop(self) -> None:
        """Ask the tasks of this machine to save their state and stop."""
        for job in self._jobs:
            if not job.done():
                os.kill(int(job.job_id), signal.SIGTERM)

    def dismiss(self) -> None:
        """Call back the tasks that still wait for a place, since the study is finished."""
        if self._slurm:
            subprocess.run(("scancel", "--state=PENDING", self.job), check=False)

    def failed(self) -> list[Ended]:
        """Return those that ended before the study did."""
        ended = zip(map(code_of, self._jobs), self._logs, strict=True)
        return [Ended(code, log) for code, log in ended if code]


def refused_words(said: str) -> str:
    """Return the line that says why Slurm takes no such job, of what it said."""
    reason = [line for line in said.splitlines() if line.strip()][-1]
    return (
        f"--submit=slurm: Slurm refuses it ({reason.removeprefix('sbatch: error: ')}); sinfo says "
        "what there is for --partition, --gpus, --cpus and --minutes"
    )


def states_of(job: str) -> list[str]:
    """Return the states of the tasks of a Slurm job that are not over: "RUNNING", "PENDING", ...

    Slurm forgets a job some minutes after its end, and then answers with an error.
    """
    words = ("squeue", f"--jobs={job}", "--noheader", "--array", "--format=%T")
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    if answer.returncode and "Invalid job id" not in answer.stderr:
        return ["UNKNOWN"]  # Slurm is busy; it is asked again
    return answer.stdout.split() if not answer.returncode else []


def code_of(job) -> int:
    """Return the exit code of the worker of a task that is over, 1 where it left none."""
    if not job.paths.result_pickle.exists():
        return 1
    outcome, found = pickle.loads(job.paths.result_pickle.read_bytes())
    return found if outcome == "success" else 1
