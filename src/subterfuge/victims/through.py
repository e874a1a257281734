"""A victim that hears every sound through transforms: a codec, a filter, fewer bits. A defence, and nothing hidden.

::

    kind = "through"
    victim = "plain.toml"            # the card of what it wraps
    through = "mp3=128,lowpass=8000" # what every sound goes through before, one after the other
    twin_draws = 4                   # where these draw: how many draws the twin's gradient is the mean of

What the transforms draw is drawn from a die that each sound brings along, its own samples, so that an answer can be
repeated. The twin goes through their stand-ins: straight through what rounds (BPDA, Athalye, Carlini, Wagner 2018,
https://arxiv.org/abs/1802.00420), exactly through filters, and in expectation over what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.errors import InputError, MissingExtra
from subterfuge.transforms import Transform
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import _wrap_sounds as sounds
from subterfuge.victims._wrap_cards import fit, load_inner, searched, why_no_twin
from subterfuge.victims.afresh import forgetful
from subterfuge.victims.card import Card, fingerprint_of

KEYS = {"victim!": str, "through!": str, "twin_draws": int}
EXAMPLE = """\
schema = 1
kind = "through"
name = "behind-mp3"
sample_rate = 44100              # that of what it wraps
labels = ["cel", "flu"]  # optional: those of what it wraps
victim = "svc.toml"              # the card of what it wraps
through = "mp3=128,lowpass=8000" # `subterfuge transforms` lists them
twin_draws = 4                   # optional: draws that the twin's gradient is the mean of, where anything is drawn
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
MOST_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class ThroughVictim:
    """A victim behind transforms. Make one with `ThroughVictim.of`, or from a card."""

    name: str
    victim: Victim
    """What it wraps."""
    transforms: tuple[Transform, ...]
    twin_draws: int = 4
    """How many draws of the transforms' dice the twin's gradient is the mean of, where anything is drawn."""
    card: Path | None = None
    """The card that it was loaded from, for the record."""

    @classmethod
    def of(cls, victim: Victim, through: str, *, name: str | None = None, twin_draws: int = 4) -> ThroughVictim:
        """Put transforms before a victim.

        Args:
            victim: any.
            through: transforms as the command line says them, such as "mp3=128,lowpass=8000".
            name: as reports call it.
            twin_draws: how many draws the twin's gradients are the mean of, 1 to 1000.

        Raises:
            InputError: there is no such transform, or it cannot be done at the victim's rate.
            MissingExtra: one needs a package that is not installed.
        """
        if not 1 <= twin_draws <= MOST_DRAWS:
            raise InputError(f"twin_draws = {twin_draws}; a whole number from 1 to {MOST_DRAWS} was expected")
        transforms = sounds.transforms_of(through, "through", victim.sample_rate)
        return cls(name or f"{victim.name} through {through}", victim, transforms, twin_draws)

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
        """Scores, if what it wraps gives any; gradients are its twin's."""
        return min(self.victim.gives, Gives.SCORES)

    @property
    def kind(self) -> Kind:
        """That of what it wraps."""
        return self.victim.kind

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what it wraps and of the transforms."""
        return fingerprint_of("through", self.victim.fingerprint, *(one.name for one in self.transforms))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of what it wraps."""
        return self.victim.warnings

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`: where it is so of what it wraps."""
        return bool(getattr(self.victim, "answers_most_probable", False))

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once."""
        return int(getattr(self.victim, "at_once", sounds.TOGETHER))

    @property
    def probe_seconds(self) -> float:
        """A length of sound that it takes."""
        return float(getattr(self.victim, "probe_seconds", 1.0))

    @property
    def no_twin(self) -> str | None:
        """Why there is no twin, one sentence."""
        return why_no_twin(self.victim)

    @cached_property
    def twin(self) -> ThroughTwin | None:
        """Stand-ins of the transforms before what an attack on the inner victim would search on."""
        inner = searched(self.victim)
        count = self.twin_draws if sounds.draws(self.transforms) else 1
        return None if inner is None else ThroughTwin(f"{self.name} (twin)", inner, self.transforms, count)

    def afresh(self) -> ThroughVictim:
        """Give the same victim around one without its memory, where what it wraps can forget."""
        return replace(self, victim=forgetful(self.victim))

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of what it answers to the sounds as they come out of the transforms, int64 (N,)."""
        return sounds.asked(self.victim.decide, self._heard(wave)).to(wave.device)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the scores of the sounds as they come out, (N, K) or (N, K, K).

        Raises:
            VictimError: the victim gives labels only, died, or a sound cannot be put through.
        """
        return sounds.asked(self.victim.scores, self._heard(wave)).to(wave.device)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give the probabilities (N, K) of the sounds as they come out, or None if there are none."""
        found = sounds.asked(self.victim.probabilities, self._heard(wave))
        return None if found is None else found.to(wave.device)

    def _heard(self, wave: Tensor) -> list[Tensor]:
        return sounds.heard(sounds.plain(wave), self.transforms, self.sample_rate, self.name, "0")


@dataclass(frozen=True, eq=False)
class ThroughTwin:
    """The stand-ins of transforms, and behind them what has gradients.

    Where anything is drawn, values are those of the draw that the truth makes, and gradients the mean over several
    draws: what the truth will draw next to here is as good as new.
    """

    name: str
    victim: Victim
    """With gradients."""
    transforms: tuple[Transform, ...]
    draws: int = 1
    """How many draws of the dice gradients are the mean of."""
    gives: Gives = Gives.GRADIENTS
    twin: Victim | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of what it wraps."""
        return self.victim.labels

    @property
    def sample_rate(self) -> int:
        """That of what it wraps."""
        return self.victim.sample_rate

    @property
    def kind(self) -> Kind:
        """That of what it wraps."""
        return self.victim.kind

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what it wraps, of the transforms and of the number of draws."""
        names = (one.name for one in self.transforms)
        return fingerprint_of("through, twin", self.victim.fingerprint, *names, str(self.draws))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of what it wraps, and which transforms have another gradient than their own."""
        return (*self.victim.warnings, *sounds.notes(self.transforms))

    @property
    def jumps(self) -> bool:
        """Whether `decide` does not follow from `scores`."""
        return bool(getattr(self.victim, "jumps", False))

    def decide(self, wave: Tensor) -> Tensor:
        """Give what it answers with the draw of the truth, int64 (N,)."""
        with torch.no_grad():
            return self.victim.decide(self._stood_in(wave, 0))

    def scores(self, wave: Tensor) -> Tensor:
        """Give the scores of the truth's draw, (N, K) or (N, K, K), with the mean gradient over all draws."""
        return sounds.mean_slope([self.victim.scores(self._stood_in(wave, draw)) for draw in range(self.draws)])

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give the probabilities (N, K) of the truth's draw, with the mean gradient over all draws, or None."""
        found = [self.victim.probabilities(self._stood_in(wave, draw)) for draw in range(self.draws)]
        sure = [each for each in found if each is not None]
        return sounds.mean_slope(sure) if sure else None

    def in_float64(self) -> ThroughTwin:
        """Give the same twin computing in float64, where what it wraps can."""
        return replace(self, victim=sounds.in_float64(self.victim))

    def without_stand_ins(self, at: Tensor) -> Callable[[Tensor], Tensor]:
        """Give a function like `scores` near waves (N, T), whose gradient is its own slope; dice lie still."""
        parts = []
        for draw in range(self.draws):
            through, there = sounds.held_in(at, self.transforms, self.sample_rate, str(draw))
            parts.append((through, sounds.own_slope(self.victim, there)))
        return lambda wave: torch.stack([scores(through(wave)) for through, scores in parts]).mean(0)

    def _stood_in(self, wave: Tensor, draw: int) -> Tensor:
        return sounds.stood_in(wave, self.transforms, self.sample_rate, str(draw))


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> ThroughVictim:
    """Load what a card of kind ``through`` wraps, and put the transforms before it.

    Args:
        card: the card.
        trust_pickle: handed on.
        device: handed on.

    Raises:
        CardError: the card that it names is missing, wrong, or leads back here; rate or labels are not the victim's; no
            such transform, or none that can be done at this rate.
        UntrustedModel, InputError: as of the card that it names.
    """
    victim = load_inner(card, "victim", str(card.get("victim")), trust_pickle=trust_pickle, device=device)
    fit(card, victim)
    try:
        return ThroughVictim.of(victim, card.get("through"), name=card.name, twin_draws=card.get("twin_draws", 4))
    except MissingExtra:
        raise
    except InputError as reason:
        raise card.fail(str(reason)) from None
