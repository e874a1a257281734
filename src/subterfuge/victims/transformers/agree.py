"""What a card and a Hugging Face model say of one another must agree."""

from __future__ import annotations

from subterfuge.errors import CardError
from subterfuge.victims.card import Card, check_labels
from subterfuge.victims.transformers.loading import Loaded

OF_PROBLEM = {"multi_label_classification": "tag logits", "regression": "decision values"}
"""What the outputs are, by the configuration's ``problem_type``; logits for every other."""


def check_rate(card: Card, found: Loaded) -> None:
    """Refuse a card that names another rate than the model's extractor.

    Raises:
        CardError: it does, or the extractor is none of sounds.
    """
    rate = getattr(found.extractor, "sampling_rate", None)
    if rate is None:
        raise card.fail(
            f'model = "{card.get("model")}": its extractor, {type(found.extractor).__name__}, names no sampling_rate; '
            "an extractor of sounds was expected"
        )
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise card.fail(f"the model's feature extractor says sampling_rate = {rate!r}; a whole number was expected")
    if rate != card.sample_rate:
        raise card.fail(
            f"sample_rate = {card.sample_rate}, but the model's feature extractor says sampling_rate = {rate}; write "
            f"sample_rate = {rate} (clips of other rates are resampled to it)"
        )


def check_sizes(card: Card, found: Loaded) -> None:
    """Refuse an extractor whose spectrogram is not of the size that the model takes.

    Raises:
        CardError: it is not.
    """
    if type(found.extractor).__name__ != "ASTFeatureExtractor":
        return
    for key in ("max_length", "num_mel_bins"):
        heard, taken = getattr(found.extractor, key), getattr(found.config, key, None)
        if taken is not None and heard != taken:
            raise card.fail(
                f'model = "{card.get("model")}": {key} is {heard} in preprocessor_config.json and {taken} in '
                "config.json, which must agree; is one of them of another model?"
            )


def output_of(card: Card, found: Loaded) -> tuple[str, tuple[str, ...]]:
    """Give what the outputs are, as the card says, else the model's configuration, and where these differ."""
    problem, said = getattr(found.config, "problem_type", None), card.get("output")
    own = OF_PROBLEM.get(str(problem), "logits")
    if said is None or problem is None or said == own:
        return said or own, ()
    return said, (f'output = "{said}" is the card\'s; the model says problem_type = {problem}, which is "{own}"',)


def labels_of(card: Card, found: Loaded) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the labels, in the order of the outputs, and what a user must know of them.

    A model of one output has two labels, of which the output is the second's; they are the card's.

    Raises:
        CardError: the card has more, fewer, or the model's own in another order, or neither has any that can serve.
    """
    named = found.config.id2label
    own = tuple(str(named[place]) for place in sorted(named))
    if len(own) == 1:
        if card.labels is None or len(card.labels) != 2:
            raise card.fail(
                f"the model has one output ({_short(own)}); write two labels on the card, that of a low number and "
                "that of a high one"
            )
        return card.labels, ()
    places = sorted(named)
    if places != list(range(len(own))):
        keys = _short(tuple(map(str, places)))
        if card.labels is None:
            raise card.fail(
                f"the keys of id2label in config.json are {keys}, where 0 to {len(own) - 1} were expected, so which "
                f"label is which output is not clear; write labels on the card, {len(own)} in the order of the outputs"
            )
        if len(card.labels) == len(own):
            return card.labels, (f"labels are the card's; the keys of the model's own (id2label) are {keys}",)
    if card.labels is None:
        fault = check_labels(list(own))
        if fault:
            raise card.fail(f"the model's own labels (id2label) cannot serve: {fault}; write labels on the card")
        return own, ()
    if len(card.labels) != len(own):
        raise _apart(card, own, f"labels has {len(card.labels)} entries, but the model has {len(own)} outputs")
    if card.labels != own and set(card.labels) == set(own):
        raise _apart(card, own, "labels are the model's own, but in another order than its outputs")
    if card.labels != own:
        return card.labels, (f"labels are the card's; the model calls them {_short(own)}",)
    return own, ()


def _apart(card: Card, own: tuple[str, ...], what: str) -> CardError:
    return card.fail(f"{what}, which it calls {_short(own)}; give one for each, or take labels away to use these")


def _short(labels: tuple[str, ...], most: int = 8) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more
