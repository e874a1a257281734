"""Sounds to features, in this process or in several.

By torch's own `DataLoader`: its processes work on one thread each, end when this one does, killed or not, and are
missed when they die. On Linux they are forked, so that they begin at once: a fresh process first imports torch and
librosa, which takes longer than 500 sounds of 3 s do.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from subterfuge.audio import Clip
from subterfuge.dsp.memory import keep_freed_memory
from subterfuge.errors import ClipError, InputError, SubterfugeError, TransformError
from subterfuge.training._tables_setup import Setup

CHUNK = 8
"""Sounds that a process is given at once."""
WORTH = 24
"""Sounds for which a process is worth its start."""
MOST_SAMPLES = 1 << 22
"""Samples that wait, in one process, to be described together: 16 MB."""


@dataclass(frozen=True)
class Heard:
    """What came of one sound."""

    place: int
    """In the set."""
    content: str = ""
    """Hash of the file's bytes, where it was asked for."""
    features: NDArray[np.float64] | None = None
    """Shape (variants, F); None where they are known already."""
    fault: str = ""
    """Why it cannot be used."""


def heard_by(
    setup: Setup, paths: Sequence[Path], known: frozenset[str], hashed: bool, jobs: int
) -> Iterator[list[Heard]]:
    """Describe sounds, a few at a time, in their order; those of known content are only named.

    Raises:
        InputError: there is too little memory for one sound, or a process was killed.
    """
    work = _Chunks(setup, tuple(paths), known, hashed)
    most = jobs or min(joblib.cpu_count(), len(paths) // WORTH)
    most = min(most, len(work))
    if most < 2 or multiprocessing.current_process().daemon:  # a daemon may have no children
        yield from _here(work)
    else:
        yield from _elsewhere(work, most)


class _Chunks(TorchDataset[Any]):
    """The set in chunks; a chunk's answer is its list of `Heard`, or the error that ends it all."""

    def __init__(self, setup: Setup, paths: tuple[Path, ...], known: frozenset[str], hashed: bool) -> None:
        self.setup, self.paths, self.known, self.hashed = setup, paths, known, hashed

    def __len__(self) -> int:
        return -(-len(self.paths) // CHUNK)

    def __getitem__(self, number: int) -> list[Heard] | SubterfugeError:
        try:
            return self._described(range(number * CHUNK, min(len(self.paths), (number + 1) * CHUNK)))
        except SubterfugeError as reason:
            return reason

    def _described(self, places: range) -> list[Heard]:
        keep_freed_memory()
        out: list[Heard] = []
        waiting: list[tuple[int, str, list[NDArray[np.float32]]]] = []
        for place in places:
            heard = self._waves(place)
            if isinstance(heard, Heard):
                out.append(heard)
                continue
            waiting.append((place, *heard))
            if sum(len(wave) for *_, waves in waiting for wave in waves) >= MOST_SAMPLES:
                out += self._numbers(waiting)
                waiting = []
        return out + self._numbers(waiting)

    def _waves(self, place: int) -> Heard | tuple[str, list[NDArray[np.float32]]]:
        path, content = self.paths[place], ""
        try:
            if self.hashed:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                if content in self.known:
                    return Heard(place, content)
            return content, self.setup.waves(Clip.read(path).mono(self.setup.sample_rate))
        except (ClipError, TransformError) as reason:
            return Heard(place, fault=_without(str(reason), path))
        except OSError as reason:
            return Heard(place, fault=f"cannot be read: {reason.strerror or reason}")

    def _numbers(self, waiting: list[tuple[int, str, list[NDArray[np.float32]]]]) -> list[Heard]:
        waves = [wave for *_, some in waiting for wave in some]
        rows: list[Any] = [None] * len(waves)
        for length in sorted({len(wave) for wave in waves}):
            places = [place for place, wave in enumerate(waves) if len(wave) == length]
            for place, numbers in zip(places, batched(self.setup, [waves[at] for at in places]), strict=True):
                rows[place] = numbers
        out, at = [], 0
        for place, content, some in waiting:
            features = np.stack(rows[at : at + len(some)])
            at += len(some)
            if np.isfinite(features).all():
                out.append(Heard(place, content, features))
            else:
                out.append(Heard(place, fault="its features are no finite numbers"))
        return out


def batched(setup: Setup, waves: list[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    """Describe waves of one length together, or, where memory does not suffice, half of them and then the others.

    Raises:
        InputError: it does not suffice for one.
    """
    try:
        return list(setup.features(np.stack(waves)))
    except (MemoryError, RuntimeError) as reason:
        if isinstance(reason, RuntimeError) and "alloc" not in str(reason):  # torch's own way to say it
            raise
    if len(waves) == 1:
        raise InputError(
            f"there is too little memory to describe one sound of {len(waves[0])} samples: use fewer processes "
            "(jobs=1), or shorter sounds"
        )
    half = len(waves) // 2
    return batched(setup, waves[:half]) + batched(setup, waves[half:])


def _here(work: _Chunks) -> Iterator[list[Heard]]:
    threads = torch.get_num_threads()
    for number in range(len(work)):
        torch.set_num_threads(1)  # as elsewhere: other threads are other roundings
        try:
            answer = work[number]
        finally:
            torch.set_num_threads(threads)
        yield _whole(answer)


def _elsewhere(work: _Chunks, jobs: int) -> Iterator[list[Heard]]:
    how = "fork" if sys.platform == "linux" else "spawn"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of more processes than cores, and of forks beside threads
        loader = DataLoader(
            work,
            batch_size=None,
            num_workers=jobs,
            collate_fn=_as_it_is,
            multiprocessing_context=how,
            generator=torch.Generator(),  # else it draws from torch's own
        )
        answers = iter(loader)
    try:
        while True:
            try:
                answer = next(answers)
            except StopIteration:
                return
            except RuntimeError as reason:
                if "DataLoader worker (pid" not in str(reason):
                    raise
                raise InputError(
                    f"a process that described sounds ended without an answer ({str(reason).splitlines()[0]}), often "
                    "for lack of memory: use fewer processes (jobs=1)"
                ) from None
            yield _whole(answer)
    finally:
        del answers  # ends the processes


def _whole(answer: list[Heard] | SubterfugeError) -> list[Heard]:
    if isinstance(answer, SubterfugeError):
        raise answer
    return answer


def _as_it_is(answer: Any) -> Any:
    return answer


def _without(message: str, path: Path) -> str:
    """Take the path off the beginning of a message that will be told behind it."""
    return message.removeprefix(str(path)).lstrip(": ")
