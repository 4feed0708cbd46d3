"""A network of one's own is found and made, and checked before it is trained."""

import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.config.info import DataInfo
from dla_jax.models import own_network

HEAD = """
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from docs.examples.shapes import Net
"""
INFO = DataInfo(("a", "b", "c"), (6, 6, 1), (0.5,), (0.25,))
FLAT = "x.reshape(len(x), -1)"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a module `mine`, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write_it(source, head=HEAD):
        (tmp_path / "mine.py").write_text(head + source)
        sys.modules.pop("mine", None)
        importlib.invalidate_caches()
        return "mine"

    yield write_it
    sys.modules.pop("mine", None)


def group(name, *arguments, **more):
    return ConfigDict({"name": name, "arguments": arguments, **more})


def refusal(model, dtype="float32", batch_size=8):
    """Return the one line in which a network is refused."""
    with pytest.raises(ConfigError) as refused:
        own_network.check_model(model)
        own_network.check_fits(model, INFO, dtype, batch_size)
    message = str(refused.value)
    assert "\n" not in message, message
    return message


def net(body, fields="", call="self, x, train"):
    """Return the source of a class of networks."""
    return f"class Mine(nn.Module):\n{fields}    @nn.compact\n    def __call__({call}):\n{body}\n"


def returning(words, **how):
    return net(f"        return {words}", **how)


WRONG = {  # source: words of the line
    "Mine = 3": ["is an int, and no class", "derived from flax.linen.Module"],
    "Mine = Net(3, (0.5,), (0.5,))": ["is a Net, and no class"],
    "def Mine(): pass": ["is a function, and no class"],
    "class Mine: pass": ["is a class, but no Linen module"],
    "import no_such_library": ["importing mine raised ModuleNotFoundError", "no_such_library"],
    "x = 1 +": ["importing mine raised SyntaxError", "line 7)"],
    "Other = Net": ["mine has no Mine"],
    returning("nn.Dense(3)(x)", fields="    size: int\n"): ["needs size", "arguments=size=VALUE"],
    returning(f"nn.Dense(3)({FLAT})", call="self, x"): [
        "raised TypeError",
        "unexpected keyword argument 'train'",
        "images float32 [N, H, W, C] and train=True",
    ],
    returning(f"nn.Dense(4)({FLAT})"): ["returned float32[N,4]; return float32[N,3]", "3 classes"],
    returning("nn.Dense(3)(x)"): ["returned float32[N,6,6,3]; return float32[N,3]"],
    returning(f"nn.Dense(3)({FLAT})[0]"): ["returned float32[N]; return"],
    returning(f"nn.Dense(3)({FLAT}).mean()"): ["returned a number; return"],
    returning(f"nn.Dense(3)({FLAT}).astype(jnp.float16)"): ["returned float16[N,3]; return"],
    returning(f"(nn.Dense(3)({FLAT}), 3)"): ["returned a tuple; return float32[N,3]"],
    returning(f"nn.Dense(3 if train else 4)({FLAT})"): ["train=False returned float32[N,4]"],
    returning(f"{FLAT}[:, :3]"): ["has no parameters"],
    returning(f"nn.Dense(3)({FLAT}) + self.variable('mine', 'n', jnp.zeros, 3).value"): [
        "keeps mine; a network has params, and batch_stats"
    ],
    returning(f"nn.Dense(3)({FLAT}) + self.param('n', lambda key: jnp.zeros(3, int))"): [
        "has parameters of int32, which have no gradient"
    ],
    returning(f"nn.Dense(3)({FLAT}) + jax.random.normal(self.make_rng('noise'), (3,))"): [
        "raised InvalidRngError",
        "in training one named 'dropout'",
    ],
    returning(f"nn.Dense(3)({FLAT}) if x.sum() > 0 else None"): [
        "raised TracerBoolConversionError",
        "(mine.py, line 10)",
        "use jnp.where",
    ],
    returning(f"nn.Dense(3)(np.asarray({FLAT}))"): ["TracerArrayConversionError", "not NumPy"],
    net(
        "        if train:\n            x = nn.BatchNorm(use_running_average=False)(x)\n"
        f"        return nn.Dense(3)({FLAT})"
    ): ["with train=True raised"],
    net(
        "        if train:\n            self.variable('batch_stats', 'n', jnp.zeros, 3)\n"
        f"        return nn.Dense(3)({FLAT})"
    ): ["with train=True has other batch_stats than with train=False"],
    returning(f"1 / 0 * {FLAT}"): ["ZeroDivisionError: division by zero (mine.py, line 10)"],
}


@pytest.mark.parametrize("source", WRONG)
def test_what_is_wrong_with_a_class_is_one_line(source, write):
    message = refusal(group(f"{write(source)}:Mine"))
    assert all(word in message for word in WRONG[source]), message
    assert message.startswith(("model.name: ", "model.arguments: ")), message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("widht=3",), ["has no field widht", "did you mean 'width'", "num_classes, mean, std"]),
        (("width",), ["width must be NAME=VALUE"]),
        (("width=3", "width=4"), ["width=4 must be NAME=VALUE, each name once"]),
        (("num_classes=4",), ["num_classes is given by the data"]),
        (("width=three",), ["init of docs.examples.shapes:Net raised TypeError"]),
        (("width={}",), ["a field of docs.examples.shapes:Net raised TypeError", "give tuples"]),
    ],
)
def test_what_is_wrong_with_arguments_is_one_line(arguments, words):
    message = refusal(group(own_network.EXAMPLE, *arguments))
    assert all(word in message for word in words), message


def test_keys_of_other_families_batches_of_one_and_other_dtypes_are_refused():
    message = refusal(group(own_network.EXAMPLE, width=8, norm="batch"))
    assert "and not norm, width; take configs/own.py" in message
    plain = group(own_network.EXAMPLE)
    assert refusal(plain, batch_size=1).startswith("batch_size: 1 with BatchNorm")
    assert "Net has no field dtype" in refusal(plain, dtype="bfloat16")


def test_it_gets_what_it_has_fields_for_and_computes_what_it_says(write):
    fields = "    num_classes: int\n    std: tuple\n    dtype: str\n    power: int = 1\n"
    fields += "    sizes: tuple = ()\n    kind: str = ''\n"
    write(returning(f"nn.Dense(self.num_classes)({FLAT} ** self.power)", fields=fields))
    model = group("mine:Mine", "power=2", "sizes=[3, 4]", "kind=plain")
    own_network.check_model(model)
    own_network.check_fits(model, INFO, "bfloat16", 1)
    made = own_network.make(model, INFO, "bfloat16")
    own = made.net
    assert (own.num_classes, own.std, own.dtype) == (3, (0.25,), "bfloat16")
    assert (own.power, own.sizes, own.kind) == (2, (3, 4), "plain")
    assert made == own_network.make(model, INFO, "bfloat16"), "one program for all runs"
    x = np.random.default_rng(0).random((5, 6, 6, 1), np.float32)
    variables = made.init(jax.random.key(0), jnp.asarray(x), train=False)
    dense = variables["params"]["net"]["Dense_0"]
    logits, features = made.apply(variables, x, train=True)
    expected = np.square(x.reshape(5, -1)) @ dense["kernel"] + dense["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert features == {}


def test_the_code_is_that_of_the_class_as_it_was_imported(write):
    write("class Mine(Net): pass")
    first = own_network.codes_of("mine:Mine")
    path = sys.modules["mine"].__file__
    with open(path, "a") as file:
        file.write("# later\n")
    assert own_network.codes_of("mine:Mine") == first
    assert list(first) == ["code of mine:Mine", "code of mine:Mine in docs/examples/shapes.py"]
    del sys.modules["mine"]
    again = own_network.codes_of("mine:Mine")
    assert [key for key in first if again[key] != first[key]] == ["code of mine:Mine"]
