"""What each primitive of JAX is in ONNX, as far as networks for images need it.

Each function takes the nodes under way (`onnx_graph.Nodes`), the equation and its inputs, arrays or
names of tensors, and returns the name of its output. An axis as long as BATCH is that of the images
and stays open.
"""

import numpy as np

from dla_jax.config.checks import check

BATCH = 7_919  # images that a network is traced with: a prime, which no other axis has
SAME = {
    "abs": "Abs",
    "add": "Add",
    "cos": "Cos",
    "div": "Div",
    "eq": "Equal",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "log": "Log",
    "logistic": "Sigmoid",
    "lt": "Less",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "pow": "Pow",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tanh": "Tanh",
}
REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}


def elementwise(nodes, eqn, *inputs) -> str:
    """Return what ONNX has under another name alone."""
    return nodes.add(SAME[eqn.primitive.name], *inputs)


def rsqrt(nodes, eqn, x) -> str:
    """Return 1 / sqrt(x)."""
    del eqn
    return nodes.add("Reciprocal", nodes.add("Sqrt", x))


def copy(nodes, eqn, x) -> str:
    """Return x as it is."""
    del nodes, eqn
    return x


def differs(nodes, eqn, a, b) -> str:
    """Return whether numbers differ."""
    del eqn
    return nodes.add("Not", nodes.add("Equal", a, b))


def expm1(nodes, eqn, x) -> str:
    """Return exp(x) - 1."""
    del eqn
    return nodes.add("Sub", nodes.add("Exp", x), np.float32(1))


def clamp(nodes, eqn, low, x, high) -> str:
    """Return x, at least low and at most high."""
    del eqn
    return nodes.add("Min", nodes.add("Max", x, low), high)


def square(nodes, eqn, x) -> str:
    """Return x * x."""
    del eqn
    return nodes.add("Mul", x, x)


def integer_pow(nodes, eqn, x) -> str:
    """Return x to an integer power."""
    return nodes.add("Pow", x, np.float32(eqn.params["y"]))


def erfc(nodes, eqn, x) -> str:
    """Return 1 - erf(x)."""
    del eqn
    return nodes.add("Sub", np.float32(1), nodes.add("Erf", x))


def log1p(nodes, eqn, x) -> str:
    """Return log(1 + x)."""
    del eqn
    return nodes.add("Log", nodes.add("Add", x, np.float32(1)))


def select(nodes, eqn, which, *cases) -> str:
    """Return the first case where `which` is false, else the second."""
    refuse(len(cases) != 2, eqn, "of more than two cases")
    return nodes.add("Where", which, cases[1], cases[0])


def convert(nodes, eqn, x) -> str:
    """Return numbers of another dtype."""
    return nodes.add("Cast", x, to=nodes.type_of(eqn.params["new_dtype"]))


def reshape(nodes, eqn, x) -> str:
    """Return the same numbers in another shape."""
    sizes = eqn.params["new_sizes"]
    whole = all(size == BATCH or size % BATCH for size in sizes)
    refuse(not whole or eqn.params["dimensions"] is not None, eqn, "that mixes images")
    return nodes.add("Reshape", x, opened(sizes, -1))


def broadcast(nodes, eqn, x) -> str:
    """Return numbers repeated along new axes, or along those of length 1."""
    shape, places = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    old = eqn.invars[0].aval.shape
    sizes = [1] * len(shape)
    for place, size in zip(places, old, strict=True):
        sizes[place] = size
    if len(sizes) != len(old):
        x = nodes.add("Reshape", x, opened(sizes, -1))
    return x if list(shape) == sizes else nodes.add("Expand", x, opened(shape, 1))


def squeeze(nodes, eqn, x) -> str:
    """Return numbers without some axes of length 1."""
    return nodes.add("Squeeze", x, np.array(eqn.params["dimensions"], np.int64))


def transpose(nodes, eqn, x) -> str:
    """Return numbers with their axes in another order."""
    return nodes.add("Transpose", x, perm=eqn.params["permutation"])


def concatenate(nodes, eqn, *inputs) -> str:
    """Return arrays joined along an axis."""
    fixed = any(
        not isinstance(each, str) and BATCH in atom.aval.shape
        for each, atom in zip(inputs, eqn.invars, strict=True)
    )
    refuse(fixed, eqn, "of a constant for each image")
    return nodes.add("Concat", *inputs, axis=eqn.params["dimension"])


def slice_(nodes, eqn, x) -> str:
    """Return a part of each axis."""
    starts, stops = eqn.params["start_indices"], eqn.params["limit_indices"]
    steps = eqn.params["strides"] or (1,) * len(starts)
    shape = eqn.invars[0].aval.shape
    cut = [
        axis
        for axis, size in enumerate(shape)
        if (starts[axis], stops[axis], steps[axis]) != (0, size, 1)
    ]
    refuse(any(shape[axis] == BATCH for axis in cut), eqn, "of the images")
    parts = (np.array([each[axis] for axis in cut], np.int64) for each in (starts, stops, steps))
    starts, stops, steps = parts
    return nodes.add("Slice", x, starts, stops, np.array(cut, np.int64), steps)


def pad(nodes, eqn, x, value) -> str:
    """Return an array with a value around it."""
    low, high, between = zip(*eqn.params["padding_config"], strict=True)
    refuse(any(between), eqn, "between the numbers")
    return nodes.add("Pad", x, np.array(low + high, np.int64), value)


def reduction(nodes, eqn, x) -> str:
    """Return sums or extremes along axes."""
    axes = eqn.params["axes"]
    refuse(any(eqn.invars[0].aval.shape[axis] == BATCH for axis in axes), eqn, "over the images")
    kind = REDUCTIONS[eqn.primitive.name]
    return nodes.add(kind, x, np.array(axes, np.int64), keepdims=0)


def matmul(nodes, eqn, a, b) -> str:
    """Return a product of matrices, or of whatever shape."""
    (a_sum, b_sum), (a_batch, b_batch) = eqn.params["dimension_numbers"]
    a_rank, b_rank = (len(atom.aval.shape) for atom in eqn.invars)
    if not a_batch and (tuple(a_sum), tuple(b_sum), b_rank) == ((a_rank - 1,), (0,), 2):
        return nodes.add("MatMul", a, b)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [next(letters) for _ in range(a_rank)]
    right = [next(letters) for _ in range(b_rank)]
    for mine, other in zip((*a_batch, *a_sum), (*b_batch, *b_sum), strict=True):
        right[other] = left[mine]
    kept = [left[axis] for axis in a_batch]
    kept += [left[axis] for axis in range(a_rank) if axis not in (*a_batch, *a_sum)]
    kept += [right[axis] for axis in range(b_rank) if axis not in (*b_batch, *b_sum)]
    equation = f"{''.join(left)},{''.join(right)}->{''.join(kept)}"
    return nodes.add("Einsum", a, b, equation=equation)


def convolve(nodes, eqn, x, kernel) -> str:
    """Return a convolution; ONNX has channels first."""
    found = eqn.params
    spec, pads = found["dimension_numbers"], found["padding"]
    odd = found["batch_group_count"] != 1 or any(rate != 1 for rate in found["lhs_dilation"])
    refuse(odd or min(min(pair) for pair in pads) < 0, eqn, "of dilated or cut images")
    x = nodes.add("Transpose", x, perm=spec.lhs_spec)
    out = nodes.add(
        "Conv",
        x,
        turned(nodes, kernel, spec.rhs_spec),
        strides=found["window_strides"],
        dilations=found["rhs_dilation"],
        group=found["feature_group_count"],
        pads=around(pads),
    )
    return nodes.add("Transpose", out, perm=[int(axis) for axis in np.argsort(spec.out_spec)])


def pool(nodes, eqn, x) -> str:
    """Return the largest, or the sum, of each window of images [N, H, W, C]."""
    found = eqn.params
    window, strides, pads = (
        found[key] for key in ("window_dimensions", "window_strides", "padding")
    )
    ends = [(each[0], each[-1]) for each in (window, strides)] + [(pads[0], pads[-1])]
    odd = len(window) != 4 or ends != [(1, 1), (1, 1), ((0, 0), (0, 0))]
    rates = (*found["base_dilation"], *found["window_dilation"])
    refuse(
        odd or any(rate != 1 for rate in rates), eqn, "of other windows than in height and width"
    )
    how = {"kernel_shape": window[1:3], "strides": strides[1:3], "pads": around(pads[1:3])}
    x = nodes.add("Transpose", x, perm=(0, 3, 1, 2))
    if eqn.primitive.name == "reduce_window_max":
        out = nodes.add("MaxPool", x, **how)
    else:
        mean = nodes.add("AveragePool", x, count_include_pad=1, **how)
        out = nodes.add("Mul", mean, np.float32(np.prod(window)))
    return nodes.add("Transpose", out, perm=(0, 2, 3, 1))


def turned(nodes, value, axes):
    """Return an array or a tensor with its axes in another order."""
    if isinstance(value, str):
        return nodes.add("Transpose", value, perm=axes)
    return np.ascontiguousarray(value.transpose(axes))


def around(pads) -> list[int]:
    """Return paddings (before, behind) of each axis as ONNX has them: all before, all behind."""
    return [before for before, _ in pads] + [behind for _, behind in pads]


def opened(sizes, instead: int) -> np.ndarray:
    """Return a shape, int64, with the axis of the images left open."""
    return np.array([instead if size == BATCH else size for size in sizes], np.int64)


def refuse(wrong: bool, eqn, what: str) -> None:
    """Raise ConfigError for an equation that cannot be written, where it is `wrong`."""
    check(
        not wrong,
        f"--from: the network has a {eqn.primitive.name} {what}, which the export to ONNX does not "
        "write; leave it out of the network",
    )


PRIMITIVES = (
    dict.fromkeys(SAME, elementwise)
    | dict.fromkeys(REDUCTIONS, reduction)
    | dict.fromkeys(("reduce_window_max", "reduce_window_sum"), pool)
    | {
        "rsqrt": rsqrt,
        "copy": copy,
        "stop_gradient": copy,
        "ne": differs,
        "expm1": expm1,
        "clamp": clamp,
        "square": square,
        "integer_pow": integer_pow,
        "erfc": erfc,
        "log1p": log1p,
        "select_n": select,
        "convert_element_type": convert,
        "reshape": reshape,
        "broadcast_in_dim": broadcast,
        "squeeze": squeeze,
        "transpose": transpose,
        "concatenate": concatenate,
        "slice": slice_,
        "pad": pad,
        "dot_general": matmul,
        "conv_general_dilated": convolve,
    }
)
# Of constants these may have one row for all images.
BY_ELEMENT = (*SAME, "rsqrt", "copy", "ne", "expm1", "square", "integer_pow", "erfc", "log1p")
