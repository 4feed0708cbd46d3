"""A network for images as an ONNX graph: its jaxpr, equation by equation.

No package does it for these networks: jax2onnx 0.17.1 fails on Flax's scans, of which all stacks of
blocks here are made, and asks for an older Orbax than this project; tf2onnx needs TensorFlow. What
does not depend on the images is computed here, and scans are unrolled.
"""

import importlib.util
from collections.abc import Callable

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from dla_jax.commands.export.onnx_primitives import BATCH, BY_ELEMENT, PRIMITIVES
from dla_jax.config.checks import check
from dla_jax.config.project import install_words

OPSET, IR = 18, 9  # what onnxruntime reads from 1.17 on
# Equations that call a jaxpr, and where they keep it.
CALLS = {
    "jit": "jaxpr",
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}


class Nodes:
    """The nodes of a graph under way, and its constants."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def add(self, kind: str, *inputs, **attributes) -> str:
        """Add a node; return the name of its output. An input is an array, or a name."""
        from onnx import helper

        names = [self.named(value) for value in inputs]
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def named(self, value) -> str:
        """Return the name of a tensor; an array becomes a constant."""
        from onnx import numpy_helper

        if isinstance(value, str):
            return value
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def type_of(self, dtype) -> int:
        """Return the number that ONNX has for a dtype."""
        from onnx import helper

        return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def prune(self, outputs: set[str]) -> None:
        """Leave out what the outputs do not need."""
        kept, needed = [], set(outputs)
        for node in reversed(self.nodes):
            if node.output[0] in needed:
                kept.append(node)
                needed.update(node.input)
        self.nodes = kept[::-1]
        self.constants = [each for each in self.constants if each.name in needed]


def check_packages() -> None:
    """Raise ConfigError where a package is missing."""
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    check(
        not missing,
        f"--from: a network for images is exported to ONNX, which needs {' and '.join(missing)}; "
        f"{install_words('onnx')}",
    )


def to_onnx(logits_of: Callable, shape: tuple[int, int, int], facts: dict[str, str]):
    """Return an `onnx.ModelProto` that computes what a function of images does.

    Args:
      logits_of: images float32 [N, *shape] -> logits float32 [N, C].
      facts: what the model says of itself, its `metadata_props`.

    Raises:
      ConfigError: it has a primitive that is not among PRIMITIVES.
    """
    from onnx import TensorProto, helper

    images = jax.ShapeDtypeStruct((BATCH, *shape), np.float32)
    traced = jax.make_jaxpr(logits_of)(images)
    nodes = Nodes()
    (found,) = write(nodes, traced, ["images"])
    nodes.nodes.append(helper.make_node("Identity", [nodes.named(found)], ["logits"]))
    nodes.prune({"logits"})
    num_classes = traced.out_avals[0].shape[1]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes.nodes,
        "network",
        [value("images", TensorProto.FLOAT, ["N", *shape])],
        [value("logits", TensorProto.FLOAT, ["N", num_classes])],
        nodes.constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="dla_jax",
    )
    helper.set_model_props(model, facts)
    return model


def write(nodes: Nodes, closed: ClosedJaxpr, inputs: list) -> list:
    """Add the nodes of a jaxpr; return its outputs, as the inputs arrays or names of tensors."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, map(np.asarray, closed.consts), strict=True))
    known |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom):
        return np.asarray(atom.val, atom.aval.dtype) if isinstance(atom, Literal) else known[atom]

    for eqn in jaxpr.eqns:
        outputs = write_equation(nodes, eqn, [read(atom) for atom in eqn.invars])
        known |= dict(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def write_equation(nodes: Nodes, eqn, inputs: list) -> list:
    """Add the nodes of an equation, or compute it where all inputs are arrays."""
    name = eqn.primitive.name
    if name == "scan":
        return write_scan(nodes, eqn, inputs)
    if name in CALLS:
        inner = eqn.params[CALLS[name]]
        closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
        return write(nodes, closed, inputs)
    if all(not isinstance(value, str) for value in inputs):
        return compute(eqn, inputs)
    check(
        name in PRIMITIVES,
        f"--from: the network has a {name}, which the export to ONNX does not know; "
        f"known: {', '.join(sorted(PRIMITIVES))}",
    )
    return [PRIMITIVES[name](nodes, eqn, *inputs)]


def compute(eqn, inputs: list) -> list:
    """Return what an equation makes of arrays; what is alike for all images stands there once."""
    name, params = eqn.primitive.name, eqn.params
    if name == "broadcast_in_dim":
        shape = tuple(1 if size == BATCH else size for size in params["shape"])
        params = params | {"shape": shape}
    shortened = any(
        value.shape != atom.aval.shape for value, atom in zip(inputs, eqn.invars, strict=True)
    )
    check(
        not shortened or name in BY_ELEMENT,
        f"--from: the network has a {name} of a constant for each image, which the export to ONNX "
        "does not write; leave it out of the network",
    )
    found = eqn.primitive.bind(*inputs, **params)
    return [np.asarray(each) for each in (found if eqn.primitive.multiple_results else [found])]


def write_scan(nodes: Nodes, eqn, inputs: list) -> list:
    """Add the nodes of each step of a scan; what it stacks is joined at the end."""
    params = eqn.params
    first, carried = params["num_consts"], params["num_carry"]
    fixed, carry, rows = inputs[:first], inputs[first : first + carried], inputs[first + carried :]
    check(
        all(not isinstance(value, str) for value in rows),
        "--from: the network has a scan over its activations, which the export to ONNX does not "
        "write; scan over parameters",
    )
    steps, stacked = range(params["length"]), []
    for step in reversed(steps) if params["reverse"] else steps:
        outputs = write(nodes, params["jaxpr"], [*fixed, *carry, *(row[step] for row in rows)])
        carry = outputs[:carried]
        stacked.append(outputs[carried:])
    if params["reverse"]:
        stacked.reverse()
    return [*carry, *(joined(nodes, list(each)) for each in zip(*stacked, strict=True))]


def joined(nodes: Nodes, values: list):
    """Return the outputs of all steps, stacked along a new first axis."""
    if all(not isinstance(value, str) for value in values):
        return np.stack(values)
    axis = np.array([0], np.int64)
    return nodes.add("Concat", *(nodes.add("Unsqueeze", value, axis) for value in values), axis=0)
