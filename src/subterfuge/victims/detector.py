"""A detector of changed sounds: an answer that small transforms turn over is taken for an attack's.

::

    kind = "detector"
    victim = "plain.toml"               # the card of what it wraps
    survives = "mp3=128,lowpass=8000"   # what the answer has to survive, each by itself
    rejects = "suspicious"              # what it answers else: one more label, the last

After feature squeezing, Xu, Evans, Qi (2018), https://arxiv.org/abs/1704.01155, by labels instead of distances.

A clean sound whose answer does not survive is rejected too: count that as an error. And an untargeted attack that ends
in a rejection has won what an alarm is for, a hollow win; ask for a target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.errors import InputError, MissingExtra, VictimError
from subterfuge.transforms import Transform
from subterfuge.victim import Gives, Kind, Victim, duels_of
from subterfuge.victims import _wrap_sounds as sounds
from subterfuge.victims._wrap_cards import fit, load_inner, searched, why_no_twin
from subterfuge.victims.afresh import forgetful
from subterfuge.victims.card import Card, fingerprint_of

KEYS = {"victim!": str, "survives!": str, "rejects": str}
EXAMPLE = """\
schema = 1
kind = "detector"
name = "watched"
sample_rate = 44100
labels = ["cel", "flu", "suspicious"]  # optional: those of what it wraps
victim = "svc.toml"
survives = "mp3=128,lowpass=8000"  # the answer must be the same after each of them
rejects = "suspicious"           # optional: the label that it answers where it is not
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
REJECTS = "suspicious"


@dataclass(frozen=True, eq=False)
class DetectorVictim:
    """A victim whose answer must survive transforms. Make one with `DetectorVictim.of`, or from a card."""

    name: str
    victim: Victim
    """What it wraps, of K labels."""
    transforms: tuple[Transform, ...]
    """What the answer has to survive, each by itself."""
    rejects: str = REJECTS
    """The label of sounds whose answer does not."""
    card: Path | None = None
    """The card that it was loaded from, for the record."""

    @classmethod
    def of(cls, victim: Victim, survives: str, *, rejects: str = REJECTS, name: str | None = None) -> DetectorVictim:
        """Let a victim's answer survive transforms, or reject the sound.

        Args:
            victim: any.
            survives: transforms as the command line says them, such as "mp3=128,lowpass=8000".
            rejects: the label of sounds whose answer does not survive; none of the victim's.
            name: as reports call it.

        Raises:
            InputError: there is no such transform, or it cannot be done at the victim's rate; the label is one already.
            MissingExtra: one needs a package that is not installed.
        """
        if rejects in victim.labels or not rejects.strip():
            raise InputError(f'rejects = "{rejects}"; a label that {victim.name} does not have was expected')
        transforms = sounds.transforms_of(survives, "survives", victim.sample_rate)
        return cls(name or f"{victim.name}, surviving {survives}", victim, transforms, rejects)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of what it wraps, and `rejects`."""
        return (*self.victim.labels, self.rejects)

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
        """Duels where what it wraps has duels, else decision values."""
        return Kind.DUELS if self.victim.kind is Kind.DUELS else Kind.DECISION

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what it wraps, of the transforms and of the further label."""
        names = (one.name for one in self.transforms)
        return fingerprint_of("detector", self.victim.fingerprint, *names, self.rejects)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of what it wraps."""
        return self.victim.warnings

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once."""
        return max(1, int(getattr(self.victim, "at_once", sounds.TOGETHER)) // (1 + len(self.transforms)))

    @property
    def probe_seconds(self) -> float:
        """A length of sound that it takes."""
        return float(getattr(self.victim, "probe_seconds", 1.0))

    @property
    def no_twin(self) -> str | None:
        """Why there is no twin, one sentence."""
        return why_no_twin(self.victim)

    @cached_property
    def twin(self) -> DetectorTwin | None:
        """The same over stand-ins and what an attack on the inner victim would search on."""
        inner = searched(self.victim)
        return None if inner is None else DetectorTwin(f"{self.name} (twin)", inner, self.transforms, self.rejects)

    def afresh(self) -> DetectorVictim:
        """Give the same victim around one without its memory, where what it wraps can forget."""
        return replace(self, victim=forgetful(self.victim))

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of what it answers, int64 (N,): K, the last, where not every view is answered alike."""
        return agreed(self._views(wave, self.victim.decide), len(self.victim.labels)).to(wave.device)

    def scores(self, wave: Tensor) -> Tensor:
        """Give scores (N, K + 1), or duels (N, K + 1, K + 1); see `judged`.

        Raises:
            VictimError: the victim gives labels only, died, or a sound cannot be put through.
        """
        if self.gives is Gives.LABELS:
            raise VictimError(f"the victim {self.name} gives labels only, and scores were asked for")
        return judged(self._views(wave, self.victim.scores), self.kind).to(wave.device)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give for each label the least probability that it has in any view, and the rest to `rejects`: (N, K + 1).

        None where what it wraps has none, or tags: of tags each has a probability of its own, and nothing is left over.
        """
        if self.victim.kind is Kind.TAGS:
            return None
        found = sounds.asked(self.victim.probabilities, self._heard(wave))
        return None if found is None else granted(self._by_view(found, len(wave))).to(wave.device)

    def _views(self, wave: Tensor, ask: Callable[[Tensor], Tensor]) -> Tensor:
        return self._by_view(sounds.asked(ask, self._heard(wave)), len(wave))

    def _by_view(self, found: Tensor, rows: int) -> Tensor:
        return found.reshape(1 + len(self.transforms), rows, *found.shape[1:])

    def _heard(self, wave: Tensor) -> list[Tensor]:
        """Give the sounds themselves, then through the first transform, the second ..."""
        rows = sounds.plain(wave)
        views = list(rows)
        for one in self.transforms:
            views += sounds.heard(rows, (one,), self.sample_rate, self.name, "view")
        return views


@dataclass(frozen=True, eq=False)
class DetectorTwin:
    """The stand-ins of transforms, and behind each what has gradients; the dice are the truth's."""

    name: str
    victim: Victim
    """With gradients."""
    transforms: tuple[Transform, ...]
    rejects: str
    gives: Gives = Gives.GRADIENTS
    twin: Victim | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of what it wraps, and `rejects`."""
        return (*self.victim.labels, self.rejects)

    @property
    def sample_rate(self) -> int:
        """That of what it wraps."""
        return self.victim.sample_rate

    @property
    def kind(self) -> Kind:
        """Duels where what it wraps has duels, else decision values."""
        return Kind.DUELS if self.victim.kind is Kind.DUELS else Kind.DECISION

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what it wraps, of the transforms and of the further label."""
        names = (one.name for one in self.transforms)
        return fingerprint_of("detector, twin", self.victim.fingerprint, *names, self.rejects)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of what it wraps, and which transforms have another gradient than their own."""
        return (*self.victim.warnings, *sounds.notes(self.transforms))

    @property
    def jumps(self) -> bool:
        """Whether `decide` does not follow from `scores`."""
        return bool(getattr(self.victim, "jumps", False))

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of what it answers, int64 (N,)."""
        with torch.no_grad():
            said = torch.stack([self.victim.decide(view) for view in self._views(wave)])
        return agreed(said, len(self.victim.labels))

    def scores(self, wave: Tensor) -> Tensor:
        """Give scores (N, K + 1), or duels (N, K + 1, K + 1), with gradients; see `judged`."""
        return judged(torch.stack([self.victim.scores(view) for view in self._views(wave)]), self.kind)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give for each label the least probability in any view, and the rest to `rejects`, or None as the truth."""
        if self.victim.kind is Kind.TAGS:
            return None
        found = [self.victim.probabilities(view) for view in self._views(wave)]
        sure = [each for each in found if each is not None]
        return granted(torch.stack(sure)) if sure else None

    def in_float64(self) -> DetectorTwin:
        """Give the same twin computing in float64, where what it wraps can."""
        return replace(self, victim=sounds.in_float64(self.victim))

    def without_stand_ins(self, at: Tensor) -> Callable[[Tensor], Tensor]:
        """Give a function like `scores` near waves (N, T), whose gradient is its own slope; dice lie still."""
        parts: list[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = []
        for chain in ((), *((one,) for one in self.transforms)):
            through, there = sounds.held_in(at, chain, self.sample_rate, "view")
            parts.append((through, sounds.own_slope(self.victim, there)))
        return lambda wave: judged(torch.stack([scores(through(wave)) for through, scores in parts]), self.kind)

    def _views(self, wave: Tensor) -> list[Tensor]:
        return [wave, *(sounds.stood_in(wave, (one,), self.sample_rate, "view") for one in self.transforms)]


def agreed(said: Tensor, classes: int) -> Tensor:
    """Give the class (N,) that all views (V, N) say, or `classes` where they differ.

    >>> agreed(torch.tensor([[0, 1], [0, 2]]), 3)
    tensor([0, 3])
    """
    return torch.where((said == said[0]).all(0), said[0], torch.full_like(said[0], classes))


def judged(scores: Tensor, kind: Kind) -> Tensor:
    """Give the scores of a detector over K + 1 classes, from those of each view, (V, N, K) or (V, N, K, K).

    What a class has over the rejection is its least duel in any view, which is above 0 for one class at most: there it
    wins all, and else the rejection does. Of duels, (N, K + 1, K + 1), that is the last row and column, beside those of
    the sound itself. Of other scores it is the score, (N, K + 1), and the rejection's is 0.
    """
    duels = torch.stack([duels_of(view) for view in scores])
    classes = duels.shape[-1]
    own = torch.eye(classes, dtype=torch.bool, device=duels.device)
    least = duels.masked_fill(own, torch.inf).amin(-1).amin(0)
    if kind is not Kind.DUELS:
        return torch.nn.functional.pad(least, (0, 1))
    whole = torch.nn.functional.pad(duels[0], (0, 1, 0, 1))
    edge = torch.nn.functional.pad(least, (0, 1))
    last = torch.zeros(classes + 1, dtype=edge.dtype, device=edge.device)
    last[-1] = 1
    return whole + edge[:, :, None] * last - edge[:, None, :] * last[:, None]


def granted(chances: Tensor) -> Tensor:
    """Give what all views (V, N, K) grant each class, and to one more, the last, what is left: (N, K + 1).

    >>> granted(torch.tensor([[[0.75, 0.25]], [[0.5, 0.5]]]))
    tensor([[0.5000, 0.2500, 0.2500]])
    """
    least = chances.amin(0)
    return torch.cat([least, (1 - least.sum(-1, keepdim=True)).clamp_min(0)], dim=-1)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> DetectorVictim:
    """Load what a card of kind ``detector`` wraps, and let its answer survive the transforms.

    Args:
        card: the card.
        trust_pickle: handed on.
        device: handed on.

    Raises:
        CardError: the card that it names is missing, wrong, or leads back here; rate or labels are not the victim's; no
            such transform, or none that can be done at this rate.
        UntrustedModel, InputError: as of the card that it names.
    """
    inner = load_inner(card, "victim", str(card.get("victim")), trust_pickle=trust_pickle, device=device)
    try:
        victim = DetectorVictim.of(inner, card.get("survives"), rejects=card.get("rejects", REJECTS), name=card.name)
    except MissingExtra:
        raise
    except InputError as reason:
        raise card.fail(str(reason)) from None
    fit(card, inner, victim.labels)
    return victim
