"""What a program is told on its command line, and what of what it prints is whose; the last question is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from numpy.typing import NDArray

from subterfuge.victims._json_answers import Unfit, parse
from subterfuge.victims._json_words import kind_of, shown
from subterfuge.victims._kept import Kept
from subterfuge.victims.command.card import MANY, ONE


class Memory:
    """The last question and its answers, so that all that is asked of one sound is of one run of the program.

    Whoever asks the same thing of the same sound again has the program run again. Of a question that the program died
    of, what it answered is kept.
    """

    def __init__(self) -> None:
        self._last: tuple[str, list[Any], frozenset[str]] = ("", [], frozenset())
        self._kept = Kept[Any]()

    def ask(self, what: str, rows: NDArray[Any], run: Callable[[NDArray[Any]], list[Any]]) -> list[Any]:
        """Give the answers about waves (N, T), from the last run if it was about these and `what` was not asked yet."""
        key = sha256(repr(rows.shape).encode() + rows.tobytes()).hexdigest()
        known, answers, told = self._last
        if key != known or what in told:
            kept = self._kept.take([_name_of(row) for row in rows], what)
            if kept is not None:
                return kept
            answers, told = run(rows), frozenset()
            self._kept.keep({})
        self._last = (key, answers, told | {what})
        return answers

    def keep(self, rows: NDArray[Any], answers: Mapping[int, Any]) -> None:
        """Keep the answers about some rows of waves (N, T), of the rest of which the program died."""
        self._kept.keep({_name_of(rows[place]): answer for place, answer in answers.items()})

    def kept(self, rows: NDArray[Any]) -> list[int]:
        """Say of which rows of waves (N, T) answers are kept."""
        return self._kept.places([_name_of(row) for row in rows])


def _name_of(row: NDArray[Any]) -> str:
    return sha256(row.tobytes()).hexdigest()


def filled(words: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Put paths in the place of ``{wav}`` and ``{wavs}``."""
    filled: list[str] = []
    for word in words:
        filled.extend(paths if word == MANY else [word.replace(ONE, paths[0])])
    return filled


def answers_in(out: bytes, count: int, together: bool, labels: Sequence[str]) -> list[Any]:
    """Give the JSON of each clip: all that was printed, or the last lines; of a program for several, a list of them.

    Raises:
        Unfit: there is none, or not so many.
    """
    try:
        whole = parse(out)
    except Unfit as fault:
        lines = [line for line in out.splitlines() if line.strip()][-count:]
        try:
            several = [parse(line) for line in lines]
        except Unfit:
            several = []
        if len(several) != count:
            raise Unfit(f"{fault}{_unquoted(out, labels)}") from None
        if not together or count > 1:
            return several
        (whole,) = several
    if together and isinstance(whole, list) and len(whole) == count:
        return whole
    if count > 1:
        raise Unfit(
            f"answered {kind_of(whole)} about {count} sounds; a list of {count} answers, or one on each of {count} "
            "lines, was expected"
        )
    return [whole]


def _unquoted(out: bytes, labels: Sequence[str]) -> str:
    """Give a hint where the last line is a label as it is, which is no JSON."""
    lines = out.decode("utf-8", "replace").strip().splitlines()
    last = lines[-1].strip().strip("'") if lines else ""
    return f"; in JSON a label stands in double quotes: print {shown(last, 60)}" if last in labels else ""
