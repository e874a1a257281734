"""What a card of kind ``command`` says, checked; nothing is run here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from subterfuge.errors import nearest
from subterfuge.victim import Gives
from subterfuge.victims._answers import KINDS, fault_of_seconds
from subterfuge.victims._json_answers import steps_of
from subterfuge.victims._wav_file import SUBTYPES
from subterfuge.victims.card import Card

GIVES = {"scores": Gives.SCORES, "labels": Gives.LABELS}
ONE, MANY = "{wav}", "{wavs}"
MOST_WORKERS = 64


def check(card: Card) -> None:
    """Refuse values that make no sense.

    Raises:
        CardError: with the key, its value, and what was expected.
    """
    words = card.values["command"]
    fault = _fault_of_words(words) or _fault_of_choices(card) or _fault_of_numbers(card, MANY in words)
    if fault:
        raise card.fail(fault)


def program_of(card: Card) -> Path:
    """Find the program: beside the card where its name holds a slash, else where the system looks for programs.

    Raises:
        CardError: there is none, or it may not be run.
    """
    word = str(card.values["command"][0])
    if "/" not in word and "\\" not in word:
        found = shutil.which(word)
        if found is None:
            beside = f'; beside the card it would be "./{word}"' if (card.folder / word).is_file() else ""
            raise card.fail(
                f'command = ["{word}", ...], but there is no program {word} where the system looks for programs (PATH)'
                f"{beside}"
            )
        return Path(found)
    path = card.folder / word
    if not path.is_file():
        what = "that is a folder" if path.is_dir() else f"there is no file {path}"
        raise card.fail(f'command = ["{word}", ...], but {what}; paths on a card are relative to the card')
    if shutil.which(str(path)) is None:
        raise card.fail(
            f'command = ["{word}", ...], but {path} may not be run; try chmod +x, or name what runs it first'
        )
    return path


def _fault_of_words(words: Sequence[str]) -> str | None:
    strange = next((word for word in words if "\0" in word), None)
    if strange is not None:
        return f"command holds {strange!r}; no program can be given a word with a zero character"
    if not words or not words[0]:
        return 'command is empty; a program and its arguments were expected, such as ["python", "classify.py", "{wav}"]'
    if len(words) == 1 and " " in words[0]:
        return f'command = ["{words[0]}"] is one word; no shell splits it, so write each word as a text of its own'
    single = sum(ONE in word for word in words)
    several = sum(MANY in word for word in words)
    if single + several == 0:
        return (
            f'command has no word with "{ONE}", in whose place the path of the sound is put (or "{MANY}", of several)'
        )
    if several > 1 or (several and (single or MANY not in words)):
        return f'command holds "{MANY}" beside "{ONE}", twice, or inside another word; one word "{MANY}" was expected'
    if ONE in words[0] or MANY in words[0]:
        return f'command = ["{words[0]}", ...] begins with the sound; the program must come first'
    return None


def _fault_of_choices(card: Card) -> str | None:
    for key, default, known in (
        ("gives", "scores", GIVES),
        ("output", "decision values", KINDS),
        ("subtype", "PCM_16", SUBTYPES),
    ):
        word = card.get(key, default)
        if word not in known:
            return f'{key} = "{word}"; {nearest(word, known)}'
    if card.get("gives") == "labels" and card.get("output"):
        return 'output has no meaning where gives = "labels"; take one of the two away'
    try:
        steps_of(card.get("answer", ""))
    except ValueError as reason:
        return f"answer: {reason}"
    return None


def _fault_of_numbers(card: Card, together: bool) -> str | None:
    seconds, timeout = float(card.get("probe_seconds", 1.0)), float(card.get("timeout_seconds", 60.0))
    workers = card.get("workers", 1)
    if fault := fault_of_seconds(seconds):
        return fault
    if not 0 < timeout <= 3600:
        return f"timeout_seconds = {timeout:g}; a time above 0 and up to 3600 s was expected"
    if not 1 <= workers <= MOST_WORKERS:
        return f"workers = {workers}; a whole number from 1 to {MOST_WORKERS} was expected"
    if together and workers > 1:
        return f'workers = {workers} has no meaning with "{MANY}", which gives all clips to one program; take one away'
    return None
