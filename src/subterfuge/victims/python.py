"""Any Python function of a waveform as a victim: it gives scores, or only a label.

::

    kind = "python"
    labels = ["cel", "cla"]          # in the order of the scores
    function = "classify.py:scores"  # in a file beside the card, or "package.module:function"
    gives = "scores"                 # or "labels"
    output = "decision values"       # or probabilities, log-probabilities, logits, tag logits, ...
    batch = false                    # true: it takes waves (N, T) and gives (N, K), or N labels
    probe_seconds = 1.0              # length of the noise that is asked first
    workers = 1                      # processes that answer at once, where batch = false

Loading such a card runs the code that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import InputError, VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import (
    KINDS,
    checked,
    doubt_of,
    fault_of,
    fault_of_seconds,
    noise,
    probabilities_of,
    scores_of,
)
from subterfuge.victims._device import device_of
from subterfuge.victims._python_code import SCORES, VALUES, fingerprint, found_of
from subterfuge.victims._python_pool import fault_of_workers, pool_of, pool_of_card
from subterfuge.victims._python_said import called, check_batch, numbers_of, place_of
from subterfuge.victims._workers import Workers
from subterfuge.victims.card import Card, check_labels

KEYS = {
    "labels!": list,
    "function!": str,
    "files": list,
    "gives": str,
    "output": str,
    "batch": bool,
    "probe_seconds": float,
    "workers": int,
}
EXAMPLE = """\
schema = 1
kind = "python"
name = "my-function"
sample_rate = 22050
labels = ["dark", "bright"]      # in the order of the scores
function = "classify.py:scores"  # in a file beside the card, or "package.module:function"; this code is RUN
# files = ["classify.npy"]       # what that code loads: part of the fingerprint, by which audits know the model
gives = "scores"                 # one number a label; "labels" if it only answers a label or its index
output = "decision values"       # or "probabilities", "log-probabilities", "logits"; not where gives = "labels"
batch = false                    # true: it takes waves (N, T) and answers for N clips
workers = 1                      # processes that answer at once, where batch = false and several clips are asked
probe_seconds = 1.0
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
GIVES = {"scores": Gives.SCORES, "labels": Gives.LABELS}


@dataclass(frozen=True, eq=False)
class PythonVictim:
    """A function of a wave. Make one with `PythonVictim.of`, or from a card."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    function: Callable[..., Any]
    fingerprint: str
    gives: Gives = Gives.SCORES
    output: str = "decision values"
    batch: bool = False
    folder: Path | None = None
    """Where its code lies, for telling where it died."""
    probe_seconds: float = 1.0
    """A length of sound that it takes."""
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()
    card: Path | None = None
    """The card that it was loaded from, for the record."""
    workers: int = 1
    """Processes that answer at once, where more than one clip is asked."""
    pool: Workers | None = field(default=None, repr=False)
    """These processes."""

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        labels: Sequence[str],
        sample_rate: int,
        name: str | None = None,
        output: str = "decision values",
        gives: str = "scores",
        batch: bool = False,
        workers: int = 1,
    ) -> PythonVictim:
        """Make a victim of a function; it is not called yet.

        Args:
            function: takes one wave, float32 (T,), and gives K numbers, or a label (its text or its index). If it
                has a second argument that must be given, or one called sample_rate, sr or rate, that is the rate.
            labels: K names, in the order of the numbers.
            sample_rate: Hz.
            name: as reports call it; the function's name without it.
            output: what the numbers are: "decision values", "probabilities", "log-probabilities", "logits", or, where
                several labels may be right at once, "tag logits" or "tag probabilities".
            gives: "scores" or "labels".
            batch: whether it takes waves (N, T) and gives (N, K), or N labels.
            workers: how many processes answer at once, where more than one clip is asked and `batch` is false. Each
                imports the function anew, so it must stand in a module that can be imported, and must not remember
                one clip for the next.

        Raises:
            InputError: an argument makes no sense, or the function cannot be sent to another process.
        """
        called = getattr(function, "__name__", type(function).__name__)
        name = name or called
        fault = check_labels(list(labels)) or _fault(gives, output) or fault_of_workers(workers, batch)
        if fault:
            raise InputError(f"{name}: {fault}")
        print_of = fingerprint(function, labels, sample_rate, gives, output, str(batch))
        victim = cls(name, tuple(labels), sample_rate, function, print_of, GIVES[gives], output, batch)
        return (
            victim
            if workers == 1
            else replace(victim, workers=workers, pool=pool_of(function, name, sample_rate, workers))
        )

    @property
    def kind(self) -> Kind:
        """What `scores` are."""
        return KINDS[self.output]

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`, wherever it has any."""
        return True

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once: one, where they are taken one by one."""
        return 32 if self.batch else 4 * self.workers if self.workers > 1 else 1

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label that it answers, or of its largest score, int64 (N,)."""
        if self.gives == Gives.LABELS:
            return torch.tensor(
                [place_of(said, self.labels, self.name) for said in self._said(wave)], dtype=torch.int64
            )
        return self._numbers(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give its numbers, float64 (N, K), or the logarithms of those that are probabilities.

        Raises:
            VictimError: it gives labels only, died, or answered nonsense.
        """
        if self.gives == Gives.LABELS:
            raise VictimError(f"the victim {self.name} gives labels only, and scores were asked for")
        return scores_of(self._numbers(wave), self.output)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give probabilities (N, K), or None if it has none."""
        if self.gives == Gives.LABELS or self.output == "decision values":
            return None
        return probabilities_of(self._numbers(wave), self.output)

    def _numbers(self, wave: Tensor) -> Tensor:
        if not len(wave):
            return torch.zeros(0, len(self.labels), dtype=torch.float64)
        numbers = numbers_of(self._said(wave), self.labels, self.name, whole=self.batch)
        return checked(torch.from_numpy(numbers), len(wave), self.labels, self.name)

    def _said(self, wave: Tensor) -> Any:
        """Call the function; give what it said, a row a clip."""
        rows = wave.detach().cpu().to(torch.float32).numpy()
        if self.pool is not None and len(rows) > 1:
            return self.pool.ask(rows)
        if not self.batch:
            return [self._called(row.copy()) for row in rows]
        said = self._called(rows.copy())
        check_batch(said, len(rows), self.name)
        return said

    def _called(self, wave: NDArray[np.float32]) -> Any:
        return called(self.function, wave, name=self.name, sample_rate=self.sample_rate, folder=self.folder)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> PythonVictim:
    """Load the function of a card of kind ``python``. It runs the code that the card names.

    Args:
        card: the card.
        trust_pickle: has no meaning here.
        device: must be there, and is not used: the function computes where it likes.

    Raises:
        CardError: no such code, or it does not answer noise with one finite number a label, or a label.
        InputError: the device is not there.
    """
    device_of(device)
    victim = _of_card(card)
    seconds, output = victim.probe_seconds, victim.output
    wave, fault, doubt = noise(card.sample_rate, seconds), None, None
    try:
        if victim.gives == Gives.LABELS:
            victim.decide(wave)
        else:
            raw = victim._numbers(wave)
            fault = fault_of(raw, output)
            doubt = doubt_of(raw, output, victim._numbers, card.sample_rate, seconds)
    except VictimError as reason:
        raise card.fail(f"asked {seconds:g} s of noise, {reason}") from reason
    if fault:
        raise card.fail(fault)
    return victim if doubt is None else replace(victim, warnings=(*victim.warnings, doubt))


def _of_card(card: Card) -> PythonVictim:
    """Make the victim of a card; it is not asked yet."""
    gives, output = card.get("gives", SCORES), card.get("output", VALUES)
    seconds, workers = float(card.get("probe_seconds", 1.0)), card.get("workers", 1)
    batch = bool(card.get("batch", False))
    fault = _fault(gives, output) or fault_of_workers(workers, batch)
    if gives == "labels" and card.get("output"):
        fault = fault or 'output has no meaning where gives = "labels"; take one of the two away'
    fault = fault_of_seconds(seconds) or fault
    if fault:
        raise card.fail(fault)
    function, print_of = found_of(card)
    place = card.name, card.labels or (), card.sample_rate
    victim = PythonVictim(*place, function, print_of, GIVES[gives], output, batch, card.folder, seconds)
    return victim if workers == 1 else replace(victim, workers=workers, pool=pool_of_card(card, print_of, workers))


def _fault(gives: str, output: str) -> str | None:
    if gives not in GIVES:
        return f'gives = "{gives}"; {nearest(gives, GIVES)}'
    if output not in KINDS:
        return f'output = "{output}"; {nearest(output, KINDS)}'
    return None
