"""What an accelerator can do at most, and how many operations a training step has.

Matrix products, copies and empty calls need JAX alone.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

from bench.accelerator_rows import Asked, row

# What products are timed in: name, precision asked for.
PRODUCTS = (("bfloat16", None), ("float32", None), ("float32", "highest"))
SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
# Of a product x y of matrices; other operations are few beside them.
PIECES = {"dot_general", "conv_general_dilated"}


def seconds_a_call(call: Callable, least: float) -> float:
    """Return the mean seconds of calls that are made one after another for `least` seconds.

    `call` takes nothing and returns an array, which the device may still be working on.
    """
    call().block_until_ready()
    count = 1
    while True:
        begin = time.perf_counter()
        for _ in range(count):
            out = call()
        out.block_until_ready()
        lasted = time.perf_counter() - begin
        if lasted >= least:
            return lasted / count
        count = max(2 * count, round(1.2 * count * least / lasted))


def product_name(dtype: str, precision: str | None) -> str:
    """Return what a row of `rates` is called."""
    return f"matrix product, {dtype}" + (f", precision {precision}" if precision else "")


def rates(asked: Asked) -> Iterator[dict]:
    """Measure matrix products, a copy and an empty call, and name the devices."""
    import jax
    import jax.numpy as jnp

    device = jax.devices()[0]
    memory = (device.memory_stats() or {}).get("bytes_limit", 0) / 2**30
    told = f"{device.device_kind}; {' '.join(device.client.platform_version.split())}"
    yield row("devices", jax.device_count(), "", note=told + f"; jax {jax.__version__}")
    yield row("memory that JAX takes", memory, "GiB", note=smi())
    size, least = (256, 0.01) if asked.tiny else (8192, 0.5)
    for dtype, precision in PRODUCTS:
        x, y = jax.random.normal(jax.random.key(0), (2, size, size), dtype)
        times = jax.jit(lambda x, y, how=precision: jnp.dot(x, y, precision=how))
        seconds = seconds_a_call(lambda times=times, x=x, y=y: times(x, y), least)
        rate = 2 * size**3 / seconds / 1e12
        yield row(product_name(dtype, precision), rate, "TFLOP/s", note=f"{size} x {size}")
    values = jnp.ones(2**20 if asked.tiny else 2**28)
    add = jax.jit(lambda x: x + 1)
    rate = 2 * values.nbytes / seconds_a_call(lambda: add(values), least) / 1e9
    yield row("copy, read and written", rate, "GB/s", note=f"{values.nbytes / 2**20:.0f} MiB")
    seconds = seconds_a_call(lambda: add(values[0]), least / 2)
    yield row("two calls that compute nothing", seconds * 1e6, "µs")


def smi() -> str:
    """Return what nvidia-smi says of the first GPU; "" without it."""
    if not shutil.which(SMI[0]):
        return ""
    answer = subprocess.run(SMI, capture_output=True, text=True, check=False, timeout=60)
    return (answer.stdout.splitlines() or [""])[0]


def step_flops(task) -> int:
    """Return the operations of a training step's products, forward and backward.

    Counted in the program as it is written: XLA's own cost analysis counts what is in a loop once,
    and the blocks of our networks are a loop. Norms, activations and the optimiser are left out.

    Args:
      task: a `dla_jax.training.task.Task`.
    """
    import jax

    key = jax.random.key(0)
    params, model_state = task.init_fn(key)
    batch = dict(task.batch_at(0))
    index = batch.pop("index", None)
    if index is not None:
        taken = lambda rows: jax.eval_shape(lambda rows, index: rows[index], rows, index)
        batch |= {name: taken(rows) for name, rows in task.data.items()}
    gradient = jax.value_and_grad(task.loss_fn, has_aux=True)
    return products(jax.make_jaxpr(gradient)(params, model_state, batch, key).jaxpr)


def products(jaxpr) -> int:
    """Return the operations, 2 a multiplication, of the products in a `jax.core.Jaxpr`.

    A scan counts as often as it runs, of branches the dearest, any other loop once.
    """
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name in PIECES:
            total += own_products(equation)
            continue
        inner = [products(found) for found in inner_jaxprs(equation.params)]
        if equation.primitive.name == "cond":
            total += max(inner, default=0)
        else:
            total += sum(inner) * equation.params.get("length", 1)
    return total


def inner_jaxprs(params: dict) -> Iterator:
    """Yield the programs among the parameters of an equation."""
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part


def own_products(equation) -> int:
    """Return the operations of one dot_general or convolution."""
    import math

    left, right = (variable.aval.shape for variable in equation.invars[:2])
    out = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * out * math.prod(left[axis] for axis in contracted)
    # Each output is a sum over the kernel without its axis of outputs; the zeros that a dilation
    # puts between inputs are no work.
    spec = equation.params["dimension_numbers"].rhs_spec
    window = math.prod(right) // right[spec[0]]
    zeros = math.prod(equation.params["lhs_dilation"])
    return 2 * out * window // zeros
