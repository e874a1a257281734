"""Any Python function of a waveform as a victim: it gives scores, or only a label.

::

    kind = "python"
    labels = ["cel", "cla"]          # in the order of the scores
    function = "classify.py:scores"  # in a file beside the card, or "package.module:function"
    gives = "scores"                 # or "labels"
    output = "decision values"       # or probabilities, log-probabilities, logits
    batch = false                    # true: it takes waves (N, T) and gives (N, K), or N labels
    probe_seconds = 1.0              # length of the noise that is asked first
    workers = 1                      # processes that answer at once, where batch = false

Loading such a card runs the code that it names.
"""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import InputError, VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import KINDS, checked, doubt_of, fault_of, noise, probabilities_of, scores_of
from subterfuge.victims._code import find_function, told
from subterfuge.victims._device import device_of
from subterfuge.victims._workers import MOST, Answer, Workers
from subterfuge.victims.card import Card, check_labels, fingerprint_of

KEYS = {
    "labels!": list,
    "function!": str,
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
            output: what the numbers are: "decision values", "probabilities", "log-probabilities" or "logits".
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
        fault = check_labels(list(labels)) or _fault(gives, output) or _fault_of_workers(workers, batch)
        if fault:
            raise InputError(f"{name}: {fault}")
        print_of = fingerprint_of("python", _source_of(function), *labels, str(sample_rate), gives, output, str(batch))
        victim = cls(name, tuple(labels), sample_rate, function, print_of, GIVES[gives], output, batch)
        return victim if workers == 1 else replace(victim, workers=workers, pool=_pool_of(victim, workers))

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
            return torch.tensor([self._place(said) for said in self._said(wave)], dtype=torch.int64)
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
        said = self._said(wave)
        try:
            if any(row is None for row in said):  # numpy would make NaN of it
                raise TypeError
            numbers = np.asarray(said if self.batch else [_plain(row) for row in said], dtype=np.float64)
        except (TypeError, ValueError):
            odd = said if self.batch else next((row for row in said if _count(row) != len(self.labels)), said[0])
            raise VictimError(
                f"the victim {self.name} answered {_short(odd)}; "
                f"{len(self.labels)} numbers a clip were expected, one for each label"
            ) from None
        return checked(torch.from_numpy(np.array(numbers)), len(wave), self.labels, self.name)

    def _said(self, wave: Tensor) -> Any:
        """Call the function; give what it said, a row a clip."""
        rows = wave.detach().cpu().to(torch.float32).numpy()
        if self.pool is not None and len(rows) > 1:
            return self.pool.ask(rows)
        if not self.batch:
            return [self._call(row.copy()) for row in rows]
        said = _plain(self._call(rows.copy()))
        if not hasattr(said, "__len__") or isinstance(said, str) or len(said) != len(rows):
            raise VictimError(
                f"the victim {self.name} was asked {len(rows)} clips in a batch and answered {_short(said)}; "
                f"{len(rows)} answers were expected"
            )
        return said

    def _call(self, wave: NDArray[np.float32]) -> Any:
        try:
            with redirect_stdout(sys.stderr):  # standard output is the caller's
                return self.function(wave, self.sample_rate) if _takes_rate(self.function) else self.function(wave)
        except (Exception, SystemExit) as reason:
            raise VictimError(f"the victim {self.name} died: {told(reason, self.folder)}") from reason

    def _answer(self, wave: NDArray[np.float32]) -> Any:
        """Give what the function says, as it can go from one process to another."""
        return _plain(self._call(wave))

    def _place(self, said: Any) -> int:
        said = _plain(said)
        if isinstance(said, np.ndarray) and said.size == 1:
            said = said.item()
        if isinstance(said, str) and said in self.labels:
            return self.labels.index(str(said))
        if isinstance(said, Integral) and not isinstance(said, bool) and 0 <= int(said) < len(self.labels):
            return int(said)
        known = nearest(said, self.labels) if isinstance(said, str) else f"known: {', '.join(self.labels)}"
        raise VictimError(
            f"the victim {self.name} answered {_short(said)}; a label or an index from 0 to {len(self.labels) - 1} "
            f"was expected; {known}"
        )


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
    gives, output = card.get("gives", "scores"), card.get("output", "decision values")
    seconds, workers = float(card.get("probe_seconds", 1.0)), card.get("workers", 1)
    batch = bool(card.get("batch", False))
    fault = _fault(gives, output) or _fault_of_workers(workers, batch)
    if gives == "labels" and card.get("output"):
        fault = fault or 'output has no meaning where gives = "labels"; take one of the two away'
    if not 0 < seconds <= 60:
        fault = f"probe_seconds = {seconds:g}; a length above 0 and up to 60 s was expected"
    if fault:
        raise card.fail(fault)
    found = find_function(card, "function")
    labels = card.labels or ()
    code = [part for source in found.sources for part in source]
    rest = (card.get("function"), *labels, str(card.sample_rate), gives, output, str(batch))
    print_of = fingerprint_of("python", *code, *rest)
    place = card.name, labels, card.sample_rate
    victim = PythonVictim(*place, found.function, print_of, GIVES[gives], output, batch, card.folder, seconds)
    if workers == 1:
        return victim
    alone = Card(card.path.resolve(), {**card.values, "workers": 1})
    job = pickle.dumps(partial(_answer_of_card, alone, print_of, torch.get_num_threads()))
    return replace(victim, workers=workers, pool=Workers(job, workers, card.name))


def _answer_of_card(card: Card, fingerprint: str, threads: int) -> Answer:
    """Give, in a worker, the function of a card."""
    torch.set_num_threads(threads)
    victim = _of_card(card)
    if victim.fingerprint != fingerprint:
        raise VictimError("its code has changed since it was loaded")
    return victim._answer


def _answer_of(function: Callable[..., Any], name: str, sample_rate: int, threads: int) -> Answer:
    """Give, in a worker, the function that was sent."""
    torch.set_num_threads(threads)
    return PythonVictim(name, (), sample_rate, function, "")._answer


def _pool_of(victim: PythonVictim, workers: int) -> Workers:
    """Give the processes of a function that was given directly."""
    try:
        sent = pickle.dumps(victim.function)
        pickle.loads(sent)
        fault = "it stands in the script that runs" if b"__main__" in sent else None
    except Exception as reason:
        fault = str(reason)
    if fault:
        raise InputError(
            f"{victim.name}: workers={workers}, but the function cannot be sent to another process ({fault}); define "
            "it by name in a module that can be imported, or name it on a card, or leave workers at 1"
        )
    job = partial(_answer_of, victim.function, victim.name, victim.sample_rate, torch.get_num_threads())
    return Workers(pickle.dumps(job), workers, victim.name)


def _fault_of_workers(workers: int, batch: bool) -> str | None:
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST:
        return f"workers = {workers}; a whole number from 1 to {MOST} was expected"
    if batch and workers > 1:
        return f"workers = {workers} has no meaning where batch = true, which takes all clips at once; take one away"
    return None


def _fault(gives: str, output: str) -> str | None:
    if gives not in GIVES:
        return f'gives = "{gives}"; {nearest(gives, GIVES)}'
    if output not in KINDS:
        return f'output = "{output}"; {nearest(output, KINDS)}'
    return None


def _takes_rate(function: Callable[..., Any]) -> bool:
    """Say whether a function wants the sample rate as its second argument."""
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    second = [each for each in arguments if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)][1:2]
    return bool(second) and (second[0].default is inspect.Parameter.empty or second[0].name in _RATES)


_RATES = ("sample_rate", "samplerate", "sr", "rate", "fs")


def _plain(said: Any) -> Any:
    """Give a torch tensor as an array; leave everything else."""
    return said.detach().cpu().numpy() if isinstance(said, Tensor) else said


def _count(said: Any) -> int:
    """Give how many numbers there are, -1 if it is none."""
    said = _plain(said)
    return -1 if said is None or isinstance(said, str) else int(np.size(said))


def _short(said: Any) -> str:
    shape = f" of shape {said.shape}" if isinstance(said, np.ndarray) else ""
    return f"{' '.join(repr(said).split()):.80} (a {type(said).__name__}{shape})"


def _source_of(function: Callable[..., Any]) -> bytes:
    """Give the text of the file that a function is of, or else of itself, or else its name."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
        if file is not None and Path(file).is_file():
            return Path(file).read_bytes() + getattr(function, "__qualname__", "").encode()
        return inspect.getsource(function).encode()
    except (OSError, TypeError):
        return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}".encode()
