"""Cards that name other cards: what a wrapper wraps is loaded, and checked against the card that names it."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path

from subterfuge.victim import Gives, Victim
from subterfuge.victims import load_victim
from subterfuge.victims.card import Card

DEEPEST = 8
"""How many wrappers may lie around one another."""

_OPEN: ContextVar[tuple[Path, ...]] = ContextVar("cards that are being loaded", default=())


def load_inner(card: Card, key: str, named: str, *, trust_pickle: bool, device: str) -> Victim:
    """Load the victim of another card that a card names under a key.

    Args:
        card: the card of the wrapper.
        key: under which it names the other.
        named: the other's path, relative to the card.
        trust_pickle: handed on.
        device: handed on.

    Raises:
        CardError: there is no such card, it is wrong, it leads back to itself, or wrappers lie too deep.
    """
    path = Card(card.path, {key: named}).file(key)
    chain = (*_OPEN.get(), card.path.resolve())
    if path.resolve() in chain:
        way = ", ".join(each.name for each in (*chain, path.resolve()))
        raise card.fail(f'{key} = "{named}" leads back to a card that it comes from ({way}); name a victim to wrap')
    if len(chain) > DEEPEST:
        raise card.fail(
            f"more than {DEEPEST} wrappers lie around one another, from {chain[0].name} to this card; take some away"
        )
    token = _OPEN.set(chain)
    try:
        return load_victim(path, trust_pickle=trust_pickle, device=device)
    finally:
        _OPEN.reset(token)


def fit(card: Card, victim: Victim, labels: Sequence[str] | None = None) -> None:
    """Refuse a card whose rate or labels are not those of the victim that it wraps.

    Args:
        card: the card of the wrapper.
        victim: what it wraps.
        labels: the wrapper's labels; the victim's without them.

    Raises:
        CardError: they are not.
    """
    if card.sample_rate != victim.sample_rate:
        raise card.fail(
            f"sample_rate = {card.sample_rate}, and the victim {victim.name} hears at {victim.sample_rate} Hz; a "
            "wrapper hears at the rate of what it wraps"
        )
    wanted = tuple(victim.labels if labels is None else labels)
    if card.labels is not None and card.labels != wanted:
        raise card.fail(
            f"labels are {', '.join(card.labels)}, and those of what it wraps {', '.join(wanted)}; write these, or "
            "leave labels out"
        )


def searched(victim: Victim) -> Victim | None:
    """Give what a white-box attack on a victim searches on: itself, its twin, or nothing."""
    return victim if victim.gives >= Gives.GRADIENTS else victim.twin


def why_no_twin(*victims: Victim) -> str | None:
    """Say in a sentence why what wraps some victims has no twin, or give None where it has one."""
    for victim in victims:
        if searched(victim) is None:
            why = getattr(victim, "no_twin", None)
            return f"what it wraps, {victim.name}, has none" + (f": {why}" if why else "")
    return None
