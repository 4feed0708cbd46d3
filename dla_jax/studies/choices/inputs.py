"""What the networks of multiple choice read: tokens, or vectors of a frozen encoder."""

from collections.abc import Callable

from dla_jax.config.workdir import Launch
from dla_jax.data.choices import PARTS, Choices
from dla_jax.studies.choices.vectors import (
    Vectors,
    contexts,
    embed_options,
    embed_texts,
    make_embed,
)
from dla_jax.tasks import choice_pairs, text_body


def learned_from(asked: Choices, lower: bool) -> tuple[str, ...]:
    """Return the texts that a tokenizer is learned from: all that no official test part alone has.

    Where each seed draws its parts they are all texts; labels are in none.

    Args:
      lower: whether they are read in lower case.
    """
    test = PARTS.index("test")
    kept = [i for i in range(len(asked.questions)) if asked.part is None or asked.part[i] != test]
    texts = [asked.passages[asked.passage[i]] for i in kept] + [asked.questions[i] for i in kept]
    texts += [option for i in kept for option in asked.options[i]]
    return tuple(text.lower() if lower else text for text in dict.fromkeys(texts))


class Inputs:
    """What networks read: questions in tokens, or their vectors; what several read is made once."""

    def __init__(self, asked: Choices, mesh, launch: Launch):
        self.asked, self.mesh, self.launch, self.made = asked, mesh, launch, {}

    def of(self, own) -> Vectors | tuple[text_body.Body, choice_pairs.Pairs]:
        """Return the vectors for a network that ranks them, or a body and the questions in tokens.

        Args:
          own: config of the arm.
        """
        lower = own.data.lower
        texts = learned_from(self.asked, lower)
        body = text_body.load_body(own.encoder, own.compute_dtype, texts, self.launch)
        if own.model.name == "cross":
            key = ("pairs", own.encoder.path, own.encoder.vocab_size, lower)
            read = body.tokenizer, body.pad_id, self.asked, lower
            return body, self.once(key, lambda: choice_pairs.make_pairs(*read))
        read = own, body, self.mesh, self.launch
        shared = (own.encoder.to_json(), own.compute_dtype, tuple(own.widths), lower)
        passage = own.model.passage if own.model.name == "ranker" else True
        context = contexts(self.asked, passage)
        return Vectors(
            self.once(("context", passage, *shared), lambda: embed_texts(*read, context)),
            self.once(("option", *shared), lambda: embed_options(*read, self.asked)),
            make_embed(own, body, self.mesh),
        )

    def once(self, key: tuple, make: Callable):
        """Return what was made for a key before, or make it."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]
