"""Several victims that answer together: the mean of their probabilities.

::

    kind = "ensemble"
    members = ["svc.toml", "net.toml"]  # cards, of the same labels in any order, and of one rate

A member without probabilities counts by the softmax of its scores (of duels: of the soft least duel of each class, see
`soft_votes`); one that gives labels only, by its vote. Members either all tag, and then so does the ensemble, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.errors import InputError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import _wrap_sounds as sounds
from subterfuge.victims._answers import log_odds_of
from subterfuge.victims._wrap_cards import fit, load_inner, searched, why_no_twin
from subterfuge.victims.afresh import forgetful
from subterfuge.victims.card import Card, fingerprint_of

KEYS = {"members!": list}
EXAMPLE = """\
schema = 1
kind = "ensemble"
name = "together"
sample_rate = 44100
labels = ["cel", "flu"]  # optional; members may have them in another order
members = ["svc.toml", "dense.toml"]
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
MOST_MEMBERS = 64


@dataclass(frozen=True, eq=False)
class EnsembleVictim:
    """Victims that answer together. Make one with `EnsembleVictim.of`, or from a card."""

    name: str
    members: tuple[Victim, ...]
    labels: tuple[str, ...]
    """In the order of the scores; members may have another."""
    card: Path | None = None
    """The card that it was loaded from, for the record."""
    gives: Gives = Gives.SCORES
    answers_most_probable: bool = True

    @classmethod
    def of(
        cls, members: Sequence[Victim], *, labels: Sequence[str] | None = None, name: str | None = None
    ) -> EnsembleVictim:
        """Put victims together.

        Args:
            members: two victims or more, of the same labels, in any order, and of one rate.
            labels: in the order of the scores; as the first member has them without it.
            name: as reports call it.

        Raises:
            InputError: there are less than two, or they differ in labels or rate.
        """
        if not 2 <= len(members) <= MOST_MEMBERS:
            raise InputError(f"an ensemble of {len(members)}; 2 to {MOST_MEMBERS} members were expected")
        first = members[0]
        for one in members[1:]:
            if one.sample_rate != first.sample_rate:
                raise InputError(
                    f"members hear at {first.sample_rate} Hz ({first.name}) and {one.sample_rate} Hz ({one.name}); "
                    "one rate was expected"
                )
            if sorted(one.labels) != sorted(first.labels):
                raise InputError(
                    f"members have the labels {', '.join(first.labels)} ({first.name}) and {', '.join(one.labels)} "
                    f"({one.name}); the same were expected"
                )
            if (one.kind is Kind.TAGS) != (first.kind is Kind.TAGS):
                tags, other = (one, first) if one.kind is Kind.TAGS else (first, one)
                raise InputError(
                    f"{tags.name} tags, where several labels may be right at once, and {other.name} gives one answer; "
                    "members of one sort were expected"
                )
        order = tuple(first.labels if labels is None else labels)
        if sorted(order) != sorted(first.labels):
            raise InputError(
                f"labels are {', '.join(order)}, and those of the members {', '.join(first.labels)}; the same were "
                "expected, in any order"
            )
        return cls(name or " + ".join(one.name for one in members), tuple(members), order)

    @property
    def kind(self) -> Kind:
        """What `scores` are: the log-odds of tags where the members tag, else logarithms of probabilities."""
        return _kind(self.members)

    @property
    def sample_rate(self) -> int:
        """That of the members."""
        return self.members[0].sample_rate

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the members and of the order of the labels."""
        return fingerprint_of("ensemble", *(one.fingerprint for one in self.members), *self.labels)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the members."""
        return tuple(dict.fromkeys(word for one in self.members for word in one.warnings))

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once."""
        return min(int(getattr(one, "at_once", sounds.TOGETHER)) for one in self.members)

    @property
    def probe_seconds(self) -> float:
        """A length of sound that it takes."""
        return float(getattr(self.members[0], "probe_seconds", 1.0))

    @property
    def no_twin(self) -> str | None:
        """Why there is no twin, one sentence."""
        return why_no_twin(*self.members)

    @cached_property
    def twin(self) -> EnsembleTwin | None:
        """The mean over what attacks on the members would search on."""
        found = [searched(one) for one in self.members]
        known = tuple(one for one in found if one is not None)
        if len(known) < len(found):
            return None
        return EnsembleTwin(f"{self.name} (twin)", known, self.labels)

    def afresh(self) -> EnsembleVictim:
        """Give the same victim over members without their memory, where they can forget."""
        return replace(self, members=tuple(forgetful(one) for one in self.members))

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label with the largest mean probability, int64 (N,)."""
        return self.probabilities(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the logarithms, of tags the log-odds, of `probabilities`, (N, K)."""
        return _scores(self.probabilities(wave), self.kind)

    def probabilities(self, wave: Tensor) -> Tensor:
        """Give the mean of the members' probabilities, float64 (N, K)."""
        with torch.no_grad():
            return _mean([_ordered(_chances(one, wave), one, self.labels) for one in self.members])


@dataclass(frozen=True, eq=False)
class EnsembleTwin:
    """The mean of the probabilities of what has gradients."""

    name: str
    members: tuple[Victim, ...]
    """With gradients."""
    labels: tuple[str, ...]
    gives: Gives = Gives.GRADIENTS
    twin: Victim | None = None
    answers_most_probable: bool = True

    @property
    def kind(self) -> Kind:
        """What `scores` are: the log-odds of tags where the members tag, else logarithms of probabilities."""
        return _kind(self.members)

    @property
    def sample_rate(self) -> int:
        """That of the members."""
        return self.members[0].sample_rate

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the members and of the order of the labels."""
        return fingerprint_of("ensemble, twin", *(one.fingerprint for one in self.members), *self.labels)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the members."""
        return tuple(dict.fromkeys(word for one in self.members for word in one.warnings))

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label with the largest mean probability, int64 (N,)."""
        with torch.no_grad():
            return self.probabilities(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the logarithms, of tags the log-odds, of `probabilities`, (N, K), with gradients."""
        return _scores(self.probabilities(wave), self.kind)

    def probabilities(self, wave: Tensor) -> Tensor:
        """Give the mean of the members' probabilities (N, K), with gradients."""
        return _mean([_ordered(_chances(one, wave), one, self.labels) for one in self.members])

    def in_float64(self) -> EnsembleTwin:
        """Give the same twin computing in float64, where the members can."""
        return replace(self, members=tuple(sounds.in_float64(one) for one in self.members))

    def without_stand_ins(self, at: Tensor) -> Callable[[Tensor], Tensor]:
        """Give a function like `scores` near waves (N, T), of scores instead of probabilities, with its own slope."""
        own = [sounds.own_slope(one, at) for one in self.members]

        def scores(wave: Tensor) -> Tensor:
            each = [_softened(ask(wave), one.kind) for ask, one in zip(own, self.members, strict=True)]
            mean = _mean([_ordered(found, one, self.labels) for found, one in zip(each, self.members, strict=True)])
            return _scores(mean, self.kind)

        return scores


def _chances(victim: Victim, wave: Tensor) -> Tensor:
    """Give what stands for a victim's probabilities (N, K)."""
    if victim.gives is Gives.LABELS:
        return torch.nn.functional.one_hot(victim.decide(wave), len(victim.labels)).double()
    found = victim.probabilities(wave)
    return _softened(victim.scores(wave), victim.kind) if found is None else found


def _softened(scores: Tensor, kind: Kind) -> Tensor:
    """Give what scores (N, K) or duels (N, K, K) say in probabilities (N, K)."""
    return scores.sigmoid() if kind is Kind.TAGS else sounds.soft_votes(scores, kind).exp()


def _scores(chances: Tensor, kind: Kind) -> Tensor:
    """Give the scores of a kind for probabilities (N, K)."""
    return log_odds_of(chances) if kind is Kind.TAGS else sounds.log(chances)


def _kind(members: Sequence[Victim]) -> Kind:
    return Kind.TAGS if members[0].kind is Kind.TAGS else Kind.LOG_PROBABILITY


def _ordered(chances: Tensor, victim: Victim, labels: tuple[str, ...]) -> Tensor:
    """Bring probabilities (N, K) into an order of labels."""
    return chances[:, [victim.labels.index(label) for label in labels]]


def _mean(each: Sequence[Tensor]) -> Tensor:
    return torch.stack([found.double() for found in each]).mean(0)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> EnsembleVictim:
    """Load the members of a card of kind ``ensemble``.

    Args:
        card: the card.
        trust_pickle: handed on.
        device: handed on.

    Raises:
        CardError: a card that it names is missing, wrong, or leads back here; members differ in labels or rate, or from
            the card.
        UntrustedModel, InputError: as of the cards that it names.
    """
    named = card.get("members")
    twice = sorted({each for each in named if named.count(each) > 1})
    if twice:
        raise card.fail(f"members names {twice[0]} twice; name each card once")
    members = [load_inner(card, "members", each, trust_pickle=trust_pickle, device=device) for each in named]
    try:
        victim = EnsembleVictim.of(members, labels=card.labels, name=card.name)
    except InputError as reason:
        raise card.fail(str(reason)) from None
    fit(card, members[0], victim.labels)
    return victim
