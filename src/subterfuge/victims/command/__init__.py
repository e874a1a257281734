"""Any program as a victim: it gets the path of a WAV file, and prints JSON.

The card is `EXAMPLE`. The sound is a mono WAV file at the card's rate, in a folder of its own that is gone afterwards.
Loading such a card, and every question, runs the program that it names, without a shell, in the card's folder.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import KINDS, asked_noise, checked, probabilities_of, scores_of
from subterfuge.victims._device import device_of
from subterfuge.victims._files_key import files_of
from subterfuge.victims._json_answers import Unfit, numbers_of, place_of, read
from subterfuge.victims._wav_file import wav_of
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.command.card import GIVES, MANY, check, program_of
from subterfuge.victims.command.named_files import parts_of
from subterfuge.victims.command.printed import Memory, answers_in, filled
from subterfuge.victims.command.running import Unfinished, how, run, said, together

KEYS = {
    "labels!": list,
    "command!": list,
    "files": list,
    "gives": str,
    "output": str,
    "answer": str,
    "subtype": str,
    "timeout_seconds": float,
    "workers": int,
    "probe_seconds": float,
}
EXAMPLE = """\
schema = 1
kind = "command"
name = "my-program"
sample_rate = 22050
labels = ["dark", "bright"]      # in the order of the numbers, where the program prints a list without names
command = ["python", "classify.py", "{wav}"]  # the program is RUN, without a shell, in the card's folder, and prints
                                 # JSON; "./classify" is a program beside the card, "{wavs}" the paths of several sounds
# files = ["model.onnx"]         # what the program loads and the command does not name: part of the fingerprint, as the
                                 # files are that the command names
gives = "scores"                 # a number for each label; "labels" if it only prints a label or its index
output = "decision values"       # or "probabilities", "log-probabilities", "logits"; not where gives = "labels"
answer = "result.scores"         # where in the JSON: a table by label, a list, a list of {label, score}; "" is all
subtype = "PCM_16"               # of the WAV file; or "PCM_24", "FLOAT"
timeout_seconds = 60.0           # after which it is killed, with its children
workers = 1                      # programs that run at once, where several clips are asked; not with "{wavs}"
probe_seconds = 1.0              # length of the noise that is asked first
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
AT_ONCE = 32
"""How many sounds one program is given where it takes several."""


@dataclass(frozen=True, eq=False)
class CommandVictim:
    """A program that is run for each clip, or for several. Made from a card."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    program: Path
    words: tuple[str, ...]
    """What follows the program."""
    folder: Path
    fingerprint: str
    gives: Gives = Gives.SCORES
    output: str = "decision values"
    answer: str = ""
    subtype: str = "PCM_16"
    timeout_seconds: float = 60.0
    workers: int = 1
    probe_seconds: float = 1.0
    """A length of sound that it takes."""
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()
    card: Path | None = None
    """The card that it was loaded from, for the record."""
    no_twin: str = "a program shows no gradients"
    memory: Memory = field(default_factory=Memory, repr=False)
    """The last answers: one sound is one run, whatever is asked of it."""

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
        """How many clips are worth asking at once."""
        return AT_ONCE if MANY in self.words else 4 * self.workers if self.workers > 1 else 1

    def afresh(self) -> CommandVictim:
        """Give the same victim without its memory."""
        return replace(self, memory=Memory())

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label that it answers, or of its largest number, int64 (N,)."""
        if self.gives == Gives.LABELS:
            return torch.tensor(self._answers(wave, "decide"), dtype=torch.int64)
        return self._numbers(wave, "decide").argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give its numbers, float64 (N, K), or the logarithms of those that are probabilities.

        Raises:
            VictimError: it gives labels only, or the program died, hung or printed nonsense.
        """
        if self.gives == Gives.LABELS:
            raise VictimError(f"the victim {self.name} gives labels only, and scores were asked for")
        return scores_of(self._numbers(wave, "scores"), self.output)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give probabilities (N, K), or None if it has none."""
        if self.gives == Gives.LABELS or self.output == "decision values":
            return None
        return probabilities_of(self._numbers(wave, "probabilities"), self.output)

    def answered(self, wave: Tensor) -> list[int]:
        """Say which of waves (N, T), of which it died, it had answered all the same; for these it is not run again."""
        return self.memory.kept(_rows_of(wave))

    def _numbers(self, wave: Tensor, what: str) -> Tensor:
        rows = self._answers(wave, what)
        raw = torch.tensor(rows, dtype=torch.float64) if rows else torch.zeros(0, len(self.labels), dtype=torch.float64)
        return checked(raw, len(wave), self.labels, self.name)

    def _read(self, one: Any) -> Any:
        reader: Any = place_of if self.gives == Gives.LABELS else numbers_of
        try:
            return read(one, "answer", self.answer, reader, self.labels)
        except Unfit as reason:
            raise VictimError(f"the victim {self.name} {reason}") from None

    def _answers(self, wave: Tensor, what: str) -> list[Any]:
        """Give the label's place, or the numbers, that the program printed of each of some waves (N, T)."""
        return self.memory.ask(what, _rows_of(wave), self._run)

    def _run(self, rows: NDArray[np.float32]) -> list[Any]:
        """Run the program about waves (N, T); where it dies of one, keep the answers to the others."""
        size = AT_ONCE if MANY in self.words else 1
        parts = [rows[at : at + size] for at in range(0, len(rows), size)]
        stop, answers = threading.Event(), dict[int, Any]()
        with tempfile.TemporaryDirectory(prefix="subterfuge-command-") as folder:
            jobs = [partial(self._ask, part, Path(folder), k * size, stop, answers) for k, part in enumerate(parts)]
            try:
                together(jobs, self.workers, stop)
            except VictimError:
                self.memory.keep(rows, answers)
                raise
        return [answers[place] for place in range(len(rows))]

    def _ask(
        self, rows: NDArray[np.float32], folder: Path, first: int, stop: threading.Event, answers: dict[int, Any]
    ) -> None:
        """Run the program about one part of the waves; its answers go beside those to the others, by place."""
        paths = [folder / f"{first + k}.wav" for k in range(len(rows))]
        for path, row in zip(paths, rows, strict=True):
            path.write_bytes(wav_of(row, self.sample_rate, self.subtype))
        words = [str(self.program), *filled(self.words, [str(path) for path in paths])]
        try:
            ended = run(words, self.folder, self.timeout_seconds, stop)
        except Unfinished as reason:
            raise VictimError(f"the program of the victim {self.name} {reason}") from None
        for path in paths:
            path.unlink(missing_ok=True)
        if ended.code:
            raise VictimError(f"the program of the victim {self.name} {how(ended.code)}{said(ended.err)}")
        try:
            printed = answers_in(ended.out, len(rows), MANY in self.words, self.labels)
        except Unfit as reason:
            raise VictimError(f"the program of the victim {self.name} {reason}{said(ended.err)}") from None
        for place, one in enumerate(printed, first):
            answers[place] = self._read(one)


def _rows_of(wave: Tensor) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = wave.detach().cpu().to(torch.float32).numpy()
    return rows


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> CommandVictim:
    """Load the program of a card of kind ``command``. It runs the program that the card names.

    Args:
        card: the card.
        trust_pickle: has no meaning here.
        device: must be there, and is not used: the program computes where it likes.

    Raises:
        CardError: no such program, a value that makes no sense, or a program that does not answer noise with one finite
            number a label, or a label.
        InputError: the device is not there.
    """
    device_of(device)
    check(card)
    program, words = program_of(card), tuple(card.values["command"])
    labels, gives, output = card.labels or (), card.get("gives", "scores"), card.get("output", "decision values")
    answer, subtype = card.get("answer", ""), card.get("subtype", "PCM_16")
    files, notes = parts_of(card)
    parts = (*words, "", *files, "", *labels, str(card.sample_rate), gives, output, answer, subtype)
    parts += tuple(part for name, digest in files_of(card) for part in (name, digest.decode()))
    victim = CommandVictim(
        card.name,
        labels,
        card.sample_rate,
        program.absolute(),
        words[1:],
        card.folder,
        fingerprint_of("command", *parts),
        GIVES[gives],
        output,
        answer,
        subtype,
        float(card.get("timeout_seconds", 60.0)),
        card.get("workers", 1),
        float(card.get("probe_seconds", 1.0)),
        warnings=tuple(notes),
    )
    numbers = None if victim.gives == Gives.LABELS else lambda wave: victim._numbers(wave, "probe")
    doubt = asked_noise(card, victim.probe_seconds, output, victim.decide, numbers)
    return victim if doubt is None else replace(victim, warnings=(*victim.warnings, doubt))
