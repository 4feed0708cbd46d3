"""The device mesh: one `data` axis, batches split along it, everything else replicated."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from dla_jax.config.checks import ConfigError
from dla_jax.config.files import cache_folder


def data_mesh(devices: list | None = None) -> Mesh:
    """Put the devices, all by default, on one axis called `data`.

    Its type is `Auto`: flax's `nn.Embed` fails under the `Explicit` default.
    """
    devices = devices or jax.devices()
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of state and resident data: a whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_rows(mesh: Mesh) -> NamedSharding:
    """Return the sharding of a batch: axis 0 split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def put(tree, sharding: NamedSharding):
    """Put arrays that every process holds whole on the devices of all processes.

    The sharding is a replicated one.
    """
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    # device_put would compare the processes' copies, byte by byte, over the network
    def put_whole(leaf):
        array = np.asarray(leaf)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(put_whole, tree)


def start_processes() -> None:
    """Join the processes of this launch, one a host, into one JAX runtime.

    This comes before anything else asks for a device. Slurm, Open MPI, Kubernetes and Cloud TPU say
    which process is which; elsewhere the variables JAX_COORDINATOR_ADDRESS (host:port of the
    first), JAX_NUM_PROCESSES and JAX_PROCESS_ID do.

    Raises:
      ConfigError: nothing says so.
    """
    variables = {
        name: os.environ.get(f"JAX_{name.upper()}") for name in ("num_processes", "process_id")
    }
    try:
        given = {name: int(value) for name, value in variables.items() if value is not None}
        jax.distributed.initialize(**given)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--multihost: cannot join the other processes ({reason}); start it with srun, mpirun "
            "or on Cloud TPU, or set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID"
        ) from None
    # the first exchange sets up the connections, for which it waits 30 s at most
    on_any_process(flag=False)


def is_first_process() -> bool:
    """Tell whether this process is the one that writes the record, the figures and the screen."""
    return jax.process_index() == 0


def on_any_process(flag: bool) -> bool:
    """Tell whether the flag is set on any process.

    All processes must ask at the same point of the program.
    """
    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def together(work: Callable, what: str):
    """Return `work()` when every process has done its own, so that all fail when one does.

    Args:
      work: takes nothing.
      what: it does, in words that follow "could not".

    Raises:
      ConfigError: that of `work`; or another process failed to do `what`.
    """
    result, error = None, None
    try:
        result = work()
    except ConfigError as raised:
        error = raised
    if not on_any_process(error is not None):
        return result
    raise error or ConfigError(
        f"another process could not {what}, and says why; mend that, and start all again"
    )


def describe_devices() -> list[str]:
    """Return the devices in words: `["1 x cpu, 2 cores"]`, `["8 x NVIDIA H200"]`.

    The first printed line has them.
    """
    kinds = [device.device_kind for device in jax.devices()]
    words = [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]
    cores = f"{cpu_cores()} core{'s' if cpu_cores() > 1 else ''}"
    return [f"{word}, {cores}" if word.endswith(" cpu") else word for word in words]


def cpu_cores() -> int:
    """Return how many CPU cores this process may use.

    They are fewer than the machine's under `taskset` or a container's cpuset.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_gpu_warning() -> str | None:
    """Return one line when the machine has an NVIDIA GPU that JAX does not use, else None."""
    has_gpu = os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi") is not None
    wanted = os.environ.get("JAX_PLATFORMS", "") == "cpu"
    if jax.default_backend() != "cpu" or not has_gpu or wanted:
        return None
    return (
        "warning: this machine has an NVIDIA GPU but JAX runs on the CPU; install it with: "
        'pip install -U "jax[cuda13]"'
    )


def check_devices() -> None:
    """Raise ConfigError where JAX finds no device of the kind that JAX_PLATFORMS asks for."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        # the assertion is what fails where no plug-in of that name is installed
        asked = os.environ.get("JAX_PLATFORMS", "")
        reason = (str(error) or "no backend of that name").splitlines()[0][:120]
        what = f"JAX finds no device ({reason}); set JAX_PLATFORMS=cpu"
        if asked:
            what = f"JAX_PLATFORMS={asked}: JAX finds no such device ({reason}); unset it"
        raise ConfigError(
            f'{what}, or install JAX for the device, as in pip install -U "jax[cuda13]"'
        ) from None


def keep_programs() -> str | None:
    """Switch the persistent compilation cache on.

    Returns:
      Why it cannot be kept; None where it is.
    """
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    folder, given = cache_folder(), os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if not given and folder is None:
        return (
            "compiled programs are not kept: there is no home folder; "
            "give one with JAX_COMPILATION_CACHE_DIR=FOLDER"
        )
    cache = Path(given) if given else folder / "xla"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(cache))
    except OSError as error:
        return f"compiled programs are not kept: {cache} cannot be written ({error.strerror})"
    return None
