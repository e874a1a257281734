"""What a card and a Hugging Face model say of one another must agree."""

from __future__ import annotations

from subterfuge.errors import CardError
from subterfuge.victims.card import Card, check_labels
from subterfuge.victims.transformers.loading import Loaded


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
    if rate != card.sample_rate:
        raise card.fail(
            f"sample_rate = {card.sample_rate}, but the model's feature extractor says sampling_rate = {rate}; write "
            f"sample_rate = {rate} (clips of other rates are resampled to it)"
        )


def labels_of(card: Card, found: Loaded) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the labels, in the order of the outputs, and what a user must know of them.

    Raises:
        CardError: the card has more, fewer, or the model's own in another order, or neither has any that can serve.
    """
    named = found.config.id2label
    own = tuple(str(named[place]) for place in sorted(named))
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
