"""A victim that hears a sound window by window: any length for a model of one length, and songs in little memory.

::

    kind = "windowed"
    victim = "plain.toml"            # the card of what it wraps
    window_seconds = 3.0             # the length that this hears
    hop_seconds = 3.0                # from one window to the next; the window itself without it
    pool = "mean"                    # or "max", or "scores": how the answers to the windows become one
    rest = "shift"                   # or "pad", or "drop": the end that no whole window reaches

What comes out, over the windows of a sound:

- ``mean``: the mean of the probabilities, as log-probabilities; of tags, of each tag's, as log-odds. Of a model without
  probabilities, the mean of its scores, or duels. Of one that gives labels only, the label of most windows, the first
  of equals.
- ``max``: of each class the largest score, of each tag the largest probability: is it anywhere in the sound?
- ``scores``: the mean of the scores (of log-probabilities: normalised again).

The answer is the label that these say. A sound shorter than a window is filled up with zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from subterfuge.errors import InputError, VictimError
from subterfuge.victim import Gives, Kind, Victim, winner
from subterfuge.victims import _wrap_sounds as sounds
from subterfuge.victims._windows import Ask, asked, starts_of
from subterfuge.victims._windows_pool import evidence_of, kind_of, pooled, pools_chances, votes_of
from subterfuge.victims._windows_settings import check_largest, check_words, samples_of
from subterfuge.victims._windows_words import words_of
from subterfuge.victims._wrap_cards import fit, load_inner, why_no_twin
from subterfuge.victims.afresh import forgetful
from subterfuge.victims.card import Card, fingerprint_of

KEYS = {"victim!": str, "window_seconds!": float, "hop_seconds": float, "pool": str, "rest": str}
EXAMPLE = """\
schema = 1
kind = "windowed"
name = "any-length"                # as reports call it; the file's name without it
sample_rate = 16000                # Hz: that of what it wraps
labels = ["cel", "cla", "flu"]     # optional: those of what it wraps
victim = "my-network.toml"         # the card of what it wraps; loading this card loads that one, and what it names
window_seconds = 3.0               # the length of what that hears
hop_seconds = 1.5                  # from one window to the next; without it the window, so that none overlap
pool = "mean"                      # of probabilities; "max": the largest of each class; "scores": the mean of scores
rest = "shift"                     # the end: one more window that ends there; "pad": filled with zeros; "drop"
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""


@dataclass(frozen=True, eq=False)
class WindowedVictim:
    """What a victim says of the windows of a sound, pooled. Make one with `WindowedVictim.of`, or from a card.

    It has gradients where what it wraps has; else it has a twin, the same around what it wraps' twin.
    """

    name: str
    victim: Victim
    """What it wraps."""
    window: int
    """In samples."""
    hop: int
    """In samples."""
    pool: str = "mean"
    rest: str = "shift"
    card: Path | None = None
    """The card that it was loaded from, for the record."""
    at_once: int = 1
    """How many clips are worth asking at once: its windows are asked together as it is."""
    answers_most_probable: bool = True
    takes_any_length: ClassVar[bool] = True
    """Whether it hears sounds of any length, whatever what it wraps does."""
    _latest: dict[str, Any] = field(default_factory=dict, repr=False)
    """The last waves asked about, and what came out: label, scores and probabilities of them are one query."""

    @classmethod
    def of(
        cls,
        victim: Victim,
        window_seconds: float,
        *,
        hop_seconds: float | None = None,
        pool: str = "mean",
        rest: str = "shift",
        name: str | None = None,
    ) -> WindowedVictim:
        """Let a victim hear sounds window by window.

        Args:
            victim: any.
            window_seconds: the length of a window, up to 600.
            hop_seconds: from one window to the next, a hundredth of the window or more; the window without it.
            pool: "mean", "max" or "scores".
            rest: "shift", "pad" or "drop".
            name: as reports call it.

        Raises:
            InputError: a number or a word makes no sense, or not for this victim, or it takes no such window.
        """
        check_words(victim, pool, rest)
        window, hop = samples_of(victim, window_seconds, hop_seconds)
        made = cls(name or f"{victim.name} in windows of {window_seconds:g} s", victim, window, hop, pool, rest)
        check_largest(victim, pool, chances=made._by_chances)
        return made

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of what it wraps."""
        return self.victim.labels

    @property
    def sample_rate(self) -> int:
        """That of what it wraps."""
        return self.victim.sample_rate

    @property
    def gives(self) -> Gives:
        """As what it wraps."""
        return self.victim.gives

    @cached_property
    def kind(self) -> Kind:
        """What `scores` are: log-probabilities, or as of what it wraps."""
        return kind_of(self.victim, self.pool, chances=self._by_chances)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what it wraps and of the windows."""
        numbers = repr((self.window, self.hop, self.pool, self.rest))
        return fingerprint_of("windowed", self.victim.fingerprint, numbers)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of what it wraps that are not about a length, and what it does not hear of a window."""
        return words_of(self.victim, self.window, self.hop)

    @property
    def probe_seconds(self) -> float:
        """A length of sound that it takes: one window."""
        return self.window / self.sample_rate

    @property
    def no_twin(self) -> str | None:
        """Why there is no twin, one sentence."""
        return why_no_twin(self.victim)

    @cached_property
    def twin(self) -> WindowedVictim | None:
        """The same windows of the inner victim's twin, if it has no gradients itself."""
        inner = self.victim.twin
        if self.gives >= Gives.GRADIENTS or inner is None:
            return None
        return replace(self, name=f"{self.name} (twin)", victim=inner, card=None, _latest={})

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label that its own scores (or the votes of the windows) say, int64 (N,)."""
        with torch.no_grad():
            if not len(wave):
                return torch.zeros(0, dtype=torch.int64, device=wave.device)
            if self.gives == Gives.LABELS:
                votes = self._asked(wave.detach(), lambda at: votes_of(self.victim))
                return votes.sum(1).argmax(-1)
            scores = self.scores(wave.detach())
        return winner(scores) if self.kind is Kind.DUELS else scores.argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the pooled scores, float64 (N, K) or (N, K, K), with gradients where what it wraps has them.

        Raises:
            VictimError: the victim gives labels only, died, or answered nonsense.
        """
        if self.gives == Gives.LABELS:
            raise VictimError(f"the victim {self.name} gives labels only, and scores were asked for")
        if not len(wave):
            shape = (0, *[len(self.labels)] * (2 if self.kind is Kind.DUELS else 1))
            return wave.sum().double() * torch.zeros(shape, dtype=torch.float64, device=wave.device)
        if wave.requires_grad and torch.is_grad_enabled():
            return self._pooled(self._asked(wave, lambda at: self._evidence(self.victim.scores)))
        if not self._latest or wave.dtype != self._latest["wave"].dtype or not torch.equal(self._latest["wave"], wave):
            found = self._pooled(self._asked(wave, lambda at: self._evidence(self.victim.scores)))
            self._latest.update(wave=wave.clone(), found=found)
        latest: Tensor = self._latest["found"]
        return latest.clone()

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give the pooled probabilities (N, K), of log-probabilities and of tags; else None."""
        if self.gives == Gives.LABELS or self.kind not in (Kind.LOG_PROBABILITY, Kind.TAGS):
            return None
        return self.scores(wave).sigmoid() if self.kind is Kind.TAGS else self.scores(wave).exp()

    def afresh(self) -> WindowedVictim:
        """Give the same victim without its memory, nor that of what it wraps, where that can forget."""
        fresh = replace(self, victim=forgetful(self.victim), _latest={})
        vars(fresh).update(_by_chances=self._by_chances)  # found out by a question, which need not be asked again
        return fresh

    def in_float64(self) -> WindowedVictim:
        """Give the same victim computing in float64, where what it wraps can."""
        return replace(self, victim=sounds.in_float64(self.victim), _latest={})

    def without_stand_ins(self, at: Tensor) -> Callable[[Tensor], Tensor]:
        """Give a function like `scores` near waves (N, T), with its own slope.

        Probabilities that are not those of the scores are `soft_votes` there.
        """

        def make(near: Tensor) -> Ask:
            return self._evidence(sounds.own_slope(self.victim, near), plain=False)

        return lambda wave: self._pooled(self._asked(wave, make, of=at))

    @cached_property
    def _by_chances(self) -> bool:
        """Whether what is pooled are probabilities of classes."""
        return pools_chances(self.victim, self.pool, self.probe_seconds)

    def _asked(self, wave: Tensor, make: Callable[[Tensor], Ask], *, of: Tensor | None = None) -> Tensor:
        starts = starts_of(wave.shape[-1], self.window, self.hop, self.rest)
        most = int(getattr(self.victim, "at_once", sounds.TOGETHER))
        return asked(make, wave, starts, self.window, most=most, of=of)

    def _evidence(self, scores: Ask, *, plain: bool = True) -> Ask:
        return evidence_of(self.victim, scores, chances=self._by_chances, plain=plain)

    def _pooled(self, each: Tensor) -> Tensor:
        return pooled(each, self.pool, self.kind)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> WindowedVictim:
    """Load what a card of kind ``windowed`` wraps, and let it hear windows.

    Args:
        card: the card.
        trust_pickle: handed on.
        device: handed on.

    Raises:
        CardError: the card that it names is missing, wrong, or leads back here; rate or labels are not the victim's; a
            number or a word makes no sense, or the victim takes no such window.
        UntrustedModel, InputError: as of the card that it names.
    """
    victim = load_inner(card, "victim", str(card.get("victim")), trust_pickle=trust_pickle, device=device)
    fit(card, victim)
    hop = card.get("hop_seconds")
    try:
        return WindowedVictim.of(
            victim,
            float(card.get("window_seconds")),
            hop_seconds=None if hop is None else float(hop),
            pool=card.get("pool", "mean"),
            rest=card.get("rest", "shift"),
            name=card.name,
        )
    except InputError as reason:
        raise card.fail(str(reason)) from None
