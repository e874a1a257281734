"""Work on many things at once, by processes that each load a victim once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from subterfuge.campaign._stamp import Stamp, stamp_of
from subterfuge.errors import SubterfugeError, VictimError
from subterfuge.victim import Victim

Thing = TypeVar("Thing")
Made = TypeVar("Made")


class ProcessEnded(VictimError):
    """A process ended, by itself or from outside, in the middle of its work."""


def each(work: Callable[[Thing], Made], things: Sequence[Thing], jobs: int = 1) -> Iterator[tuple[int, Made]]:
    """Do `work` on things, in any order: give the place of each and what came of it.

    With one job it is done here. With more, `work` and the things go to other processes (joblib's loky).

    Raises:
        SubterfugeError: as `work` raises it; whatever is finished has been given before.
        ProcessEnded: one of the other processes did; the rest were ended with it.
    """
    if jobs <= 1 or len(things) <= 1:
        yield from ((place, work(thing)) for place, thing in enumerate(things))
        return
    from joblib import Parallel, delayed

    calls: Iterable[object] = (delayed(_numbered)(work, place, thing, 1) for place, thing in enumerate(things))
    pool = Parallel(n_jobs=min(jobs, len(things)), return_as="generator_unordered", inner_max_num_threads=1)
    with _ended_told():
        yield from pool(calls)


def apart(work: Callable[[Thing], Made], thing: Thing, threads: int = 1) -> Made:
    """Do `work` on one thing in another process, which may end; with so many threads.

    Raises:
        SubterfugeError: as `work` raises it.
        ProcessEnded: that process did.
    """
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=2, inner_max_num_threads=threads)  # one process would be this one
    with _ended_told():
        made: Made = pool([delayed(_numbered)(work, 0, thing, threads)])[0][1]
    return made


@contextmanager
def _ended_told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as reason:
        codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(reason))
        how = f"exit code {codes[1]}" if codes else " ".join(str(reason).split())[:200]
        raise ProcessEnded(
            f"a process ended in the middle of its work ({how}): the victim's code ended it, the memory was not "
            "enough, or someone ended it. Fewer processes (--jobs) need less memory"
        ) from None


def _numbered(work: Callable[[Thing], Made], place: int, thing: Thing, threads: int) -> tuple[int, Made]:
    import torch

    torch.set_num_threads(threads)
    return place, work(thing)


def victim_of(card: Path, trust_pickle: bool) -> Victim:
    """Load a victim, once in each process for as long as its card, what that names, and models beside it stay.

    Raises:
        CardError, UntrustedModel: as `load_victim`.
    """
    return _loaded(card, trust_pickle, stamp_of(card))


@lru_cache(maxsize=16)
def _loaded(card: Path, trust_pickle: bool, stamp: Stamp) -> Victim:
    from subterfuge.victims import load_victim

    return load_victim(card, trust_pickle=trust_pickle)


def told(error: SubterfugeError) -> str:
    """Say what went wrong with one thing of many."""
    return f"{type(error).__name__}: {error}"
