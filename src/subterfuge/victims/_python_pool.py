"""The processes that answer for a Python victim, and what each of them makes its function of."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from subterfuge.errors import InputError, VictimError
from subterfuge.victims._python_code import found_of
from subterfuge.victims._python_said import called
from subterfuge.victims._workers import MOST, Answer, Workers
from subterfuge.victims.card import Card


def fault_of_workers(workers: int, batch: bool) -> str | None:
    """Say in a sentence what is wrong with a number of processes, or give None."""
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST:
        return f"workers = {workers}; a whole number from 1 to {MOST} was expected"
    if batch and workers > 1:
        return f"workers = {workers} has no meaning where batch = true, which takes all clips at once; take one away"
    return None


def pool_of_card(card: Card, fingerprint: str, workers: int) -> Workers:
    """Give the processes of the function that a card names, whose hash is known."""
    where = Card(card.path.resolve(), card.values)
    job = partial(_answer_of_card, where, fingerprint, torch.get_num_threads())
    return Workers(pickle.dumps(job), workers, card.name)


def pool_of(function: Callable[..., Any], name: str, sample_rate: int, workers: int) -> Workers:
    """Give the processes of a function that was given directly.

    Raises:
        InputError: it cannot be sent to another process.
    """
    try:
        sent = pickle.dumps(function)
        pickle.loads(sent)
        fault = "it stands in the script that runs" if b"__main__" in sent else None
    except Exception as reason:
        fault = str(reason)
    if fault:
        raise InputError(
            f"{name}: workers={workers}, but the function cannot be sent to another process ({fault}); define it by "
            "name in a module that can be imported, or name it on a card, or leave workers at 1"
        )
    job = partial(_answer_of, function, name, sample_rate, torch.get_num_threads())
    return Workers(pickle.dumps(job), workers, name)


def _answer_of_card(card: Card, fingerprint: str, threads: int) -> Answer:
    """Give, in a worker, the function of a card."""
    torch.set_num_threads(threads)
    function, now = found_of(card)
    if now != fingerprint:
        raise VictimError("its code has changed since it was loaded")
    return partial(called, function, name=card.name, sample_rate=card.sample_rate, folder=card.folder)


def _answer_of(function: Callable[..., Any], name: str, sample_rate: int, threads: int) -> Answer:
    """Give, in a worker, the function that was sent."""
    torch.set_num_threads(threads)
    return partial(called, function, name=name, sample_rate=sample_rate, folder=None)
