"""Randomised smoothing: what a victim says of most noisy versions of a sound, with a radius that can be proven.

::

    kind = "smoothed"
    victim = "plain.toml"            # the card of what it wraps
    sd = 0.01                        # of the white noise, in parts of full scale
    draws = 32                       # noisy versions that vote
    seed = 0                         # of the noise
    twin_draws = 8                   # of these, through so many go the gradients of the twin
    fixed_noise = false              # true: the twin's gradients meet the same noise at every step

After Cohen, Rosenfeld, Kolter (2019), "Certified Adversarial Robustness via Randomized Smoothing",
https://arxiv.org/abs/1902.02918; the gradient through soft votes after Salman et al. (2019),
https://arxiv.org/abs/1906.04584. `certify` gives the radius.

The noise is drawn from a die that each sound brings along, its own samples, and the seed: fresh for every sound, and
the same when it comes again. Who knows the seed can know the noise, as the twin does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.errors import InputError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import _wrap_sounds as sounds
from subterfuge.victims._wrap_cards import fit, load_inner, searched, why_no_twin
from subterfuge.victims._wrap_certify import Certificate, certify, counts
from subterfuge.victims.afresh import forgetful
from subterfuge.victims.card import Card, fingerprint_of

__all__ = ["KEYS", "Certificate", "SmoothedTwin", "SmoothedVictim", "certify", "load"]

KEYS = {"victim!": str, "sd!": float, "draws": int, "seed": int, "twin_draws": int, "fixed_noise": bool}
EXAMPLE = """\
schema = 1
kind = "smoothed"
name = "smoothed"
sample_rate = 44100
labels = ["cel", "flu"]  # optional: those of what it wraps
victim = "svc.toml"
sd = 0.003                       # of the white noise, in parts of full scale
draws = 32                       # noisy versions that vote
seed = 0                         # of the noise
twin_draws = 8                   # of these, how many the twin's gradients go through
fixed_noise = false              # true: the twin's gradients meet the same noise at every step
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
MOST_DRAWS = 10_000


@dataclass(frozen=True, eq=False)
class SmoothedVictim:
    """The vote of a victim on noisy versions of a sound. Make one with `SmoothedVictim.of`, or from a card."""

    name: str
    victim: Victim
    """What it wraps."""
    sd: float
    """Standard deviation of the white noise, in parts of full scale."""
    draws: int = 32
    """Noisy versions that vote."""
    seed: int = 0
    """Of the noise."""
    twin_draws: int = 8
    """Of the draws, how many the twin's gradients go through."""
    fixed_noise: bool = False
    """Whether the twin's gradients meet the same noise at every step."""
    card: Path | None = None
    """The card that it was loaded from, for the record."""
    gives: Gives = Gives.SCORES
    kind: Kind = Kind.LOG_PROBABILITY
    answers_most_probable: bool = True

    @classmethod
    def of(
        cls,
        victim: Victim,
        sd: float,
        *,
        draws: int = 32,
        seed: int = 0,
        twin_draws: int | None = None,
        fixed_noise: bool = False,
        name: str | None = None,
    ) -> SmoothedVictim:
        """Smooth a victim.

        Args:
            victim: any.
            sd: standard deviation of the white noise, in parts of full scale, above 0 and up to 1.
            draws: noisy versions that vote, 1 to 10,000.
            seed: of the noise.
            twin_draws: of these, how many the twin's gradients go through; 8, or all of less, without it.
            fixed_noise: whether the twin's gradients meet the same noise at every step.
            name: as reports call it.

        Raises:
            InputError: a number makes no sense.
        """
        if not 0 < sd <= 1:
            raise InputError(f"sd = {sd:g}; a part of full scale above 0 and up to 1 was expected, such as 0.01")
        if not 1 <= draws <= MOST_DRAWS:
            raise InputError(f"draws = {draws}; a whole number from 1 to {MOST_DRAWS} was expected, such as 32")
        twin_draws = min(8, draws) if twin_draws is None else twin_draws
        if not 1 <= twin_draws <= draws:
            raise InputError(f"twin_draws = {twin_draws}; a whole number from 1 to draws = {draws} was expected")
        if not 0 <= seed < 1 << 63:
            raise InputError(f"seed = {seed}; a whole number from 0 up was expected")
        called = name or f"{victim.name} smoothed by {sd:g}"
        return cls(called, victim, float(sd), draws, seed, twin_draws, fixed_noise)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of what it wraps."""
        return self.victim.labels

    @property
    def sample_rate(self) -> int:
        """That of what it wraps."""
        return self.victim.sample_rate

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what it wraps and of the noise."""
        return fingerprint_of("smoothed", self.victim.fingerprint, repr(self.sd), str(self.draws), str(self.seed))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of what it wraps."""
        return self.victim.warnings

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once."""
        return max(1, int(getattr(self.victim, "at_once", sounds.TOGETHER)) // self.draws)

    @property
    def probe_seconds(self) -> float:
        """A length of sound that it takes."""
        return float(getattr(self.victim, "probe_seconds", 1.0))

    @property
    def no_twin(self) -> str | None:
        """Why there is no twin, one sentence."""
        return why_no_twin(self.victim)

    @cached_property
    def twin(self) -> SmoothedTwin | None:
        """The same vote over what an attack on the inner victim would search on, with gradients."""
        inner = searched(self.victim)
        if inner is None:
            return None
        noise = f"{self.name} (twin)", inner, self.sd, self.draws, self.seed
        return SmoothedTwin(*noise, self.twin_draws, self.fixed_noise)

    def afresh(self) -> SmoothedVictim:
        """Give the same victim around one without its memory, where what it wraps can forget."""
        return replace(self, victim=forgetful(self.victim))

    def votes(self, wave: Tensor) -> Tensor:
        """Count what the victim says of the noisy versions of waves (N, T): float64 (N, K)."""
        return votes_of(self, sounds.plain(wave)).to(wave.device)

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label with most votes, the first of equals, int64 (N,)."""
        return self.votes(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the logarithms of `probabilities`, (N, K)."""
        return shares(self.votes(wave)).log()

    def probabilities(self, wave: Tensor) -> Tensor:
        """Give the shares of the vote (N, K), one more vote being split evenly among the classes, so that none is 0."""
        return shares(self.votes(wave))


@dataclass(frozen=True, eq=False)
class SmoothedTwin:
    """The vote over what has gradients: its values are hard votes, on the truth's noise; its gradients soft ones'."""

    name: str
    victim: Victim
    """With gradients."""
    sd: float
    draws: int
    seed: int
    twin_draws: int
    fixed_noise: bool
    gives: Gives = Gives.GRADIENTS
    kind: Kind = Kind.LOG_PROBABILITY
    twin: Victim | None = None
    answers_most_probable: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of what it wraps."""
        return self.victim.labels

    @property
    def sample_rate(self) -> int:
        """That of what it wraps."""
        return self.victim.sample_rate

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what it wraps and of the noise."""
        numbers = repr((self.sd, self.draws, self.seed, self.twin_draws, self.fixed_noise))
        return fingerprint_of("smoothed, twin", self.victim.fingerprint, numbers)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of what it wraps, and what gradients are of."""
        return (*self.victim.warnings, f"gradients are those of {self.twin_draws} soft votes under the noise")

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label with most votes, int64 (N,)."""
        return votes_of(self, sounds.plain(wave)).argmax(-1).to(wave.device)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the logarithms of the shares of the vote (N, K), with the gradient of those of soft votes."""
        hard = shares(votes_of(self, sounds.plain(wave))).log()
        return sounds.valued(hard, self._soft(wave, wave, lambda noisy: self.victim.scores))

    def probabilities(self, wave: Tensor) -> Tensor:
        """Give the shares of the vote (N, K), with the gradient of `scores`."""
        return self.scores(wave).exp()

    def in_float64(self) -> SmoothedTwin:
        """Give the same twin computing in float64, where what it wraps can."""
        return replace(self, victim=sounds.in_float64(self.victim))

    def without_stand_ins(self, at: Tensor) -> Callable[[Tensor], Tensor]:
        """Give the logarithms of the shares of soft votes near waves (N, T), with their own slope; noise lies still."""
        return lambda wave: self._soft(wave, at, lambda noisy: sounds.own_slope(self.victim, noisy))

    def _soft(self, wave: Tensor, at: Tensor, scorer: Callable[[Tensor], Callable[[Tensor], Tensor]]) -> Tensor:
        """Give the logarithm of the mean soft vote over `twin_draws` draws of the noise that waves `at` bring along."""
        dice = [torch.Generator().manual_seed(self.seed) for _ in at] if self.fixed_noise else dice_for(self, at)
        logs = []
        for _ in range(self.twin_draws):
            each = self.sd * torch.stack([torch.randn(at.shape[-1], generator=die) for die in dice]).to(wave)
            logs.append(sounds.soft_votes(scorer(at.detach() + each)(wave + each), self.victim.kind))
        return torch.stack(logs).logsumexp(0) - math.log(self.twin_draws)


def dice_for(of: SmoothedVictim | SmoothedTwin, wave: Tensor) -> list[torch.Generator]:
    """Give the die of each row's noise."""
    return sounds.dice_of(wave, f"smoothed/{of.seed}")


def votes_of(of: SmoothedVictim | SmoothedTwin, wave: Tensor) -> Tensor:
    """Count what the victim says of the noisy versions of waves (N, T), float32: float64 (N, K)."""
    counted = [counts(of.victim, row, of.sd, die, of.draws) for row, die in zip(wave, dice_for(of, wave), strict=True)]
    return torch.stack(counted)


def shares(votes: Tensor) -> Tensor:
    """Give the shares of votes (N, K), one more being split evenly.

    >>> shares(torch.tensor([[3.0, 1.0]]))
    tensor([[0.7000, 0.3000]])
    """
    return (votes + 1 / votes.shape[-1]) / (votes.sum(-1, keepdim=True) + 1)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> SmoothedVictim:
    """Load what a card of kind ``smoothed`` wraps, and smooth it.

    Args:
        card: the card.
        trust_pickle: handed on.
        device: handed on.

    Raises:
        CardError: the card that it names is missing, wrong, or leads back here; rate or labels are not the victim's; a
            number makes no sense.
        UntrustedModel, InputError: as of the card that it names.
    """
    victim = load_inner(card, "victim", str(card.get("victim")), trust_pickle=trust_pickle, device=device)
    fit(card, victim)
    try:
        return SmoothedVictim.of(
            victim,
            card.get("sd"),
            draws=card.get("draws", 32),
            seed=card.get("seed", 0),
            twin_draws=card.get("twin_draws"),
            fixed_noise=card.get("fixed_noise", False),
            name=card.name,
        )
    except InputError as reason:
        raise card.fail(str(reason)) from None
