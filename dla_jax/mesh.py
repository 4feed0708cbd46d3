"""The device mesh: one `data` axis, batches split along it, everything else replicated."""

import os
import shutil

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def data_mesh() -> Mesh:
    """All devices on one axis called `data`. `Auto`, because flax's `nn.Embed` fails under the `Explicit` default."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of state and resident data: a whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_rows(mesh: Mesh) -> NamedSharding:
    """The sharding of a batch: axis 0 split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def describe_devices() -> list[str]:
    """The devices in words, for the first printed line: `["1 x cpu, 2 cores"]`, `["8 x NVIDIA H200"]`."""
    kinds = [device.device_kind for device in jax.devices()]
    words = [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]
    return [f"{word}, {cpu_cores()} cores" if word.endswith(" cpu") else word for word in words]


def cpu_cores() -> int:
    """CPU cores this process may use (fewer than the machine's under `taskset` or a container's cpuset)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_gpu_warning() -> str | None:
    """One line when the machine has an NVIDIA GPU that JAX does not use, else None."""
    has_gpu = os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi") is not None
    if jax.default_backend() != "cpu" or not has_gpu or os.environ.get("JAX_PLATFORMS", "") == "cpu":
        return None
    return 'warning: this machine has an NVIDIA GPU but JAX runs on the CPU; install it with: pip install -U "jax[cuda13]"'
