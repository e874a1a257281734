"""Progress, told on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from subterfuge.cli.show import visible

if TYPE_CHECKING:
    from subterfuge.oracle import Oracle


class Watch:
    """Tells of progress on standard error: one line that changes on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        self._name, self._quiet = name, quiet
        self._terminal = sys.stderr.isatty()
        self._told = time.monotonic()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and not self._quiet:
            click.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, oracle: Oracle) -> None:
        """Tell where a search stands."""
        won = bool(oracle.won[0])
        state = f"wins at {oracle.shown(0)}" if won else "no win yet"
        spent = f"{oracle.gradients[0]} gradients, {oracle.queries[0]} queries"
        self._say(f"{self._name}: {state}, margin {float(oracle.best_margin[0]):.3g}, {spent}, {oracle.seconds:.0f} s")

    def files(self, place: str, done: int, total: int) -> None:
        """Tell which file has come."""
        self._say(f"{place}: file {done} of {total}")

    def count(self, done: int, total: int) -> None:
        """Tell how many of several things are done."""
        self._say(f"{self._name}: {done} of {total}")

    def stage(self, what: str, done: int, total: int) -> None:
        """Tell how much of one part of a longer work is done."""
        self._say(f"{what}: {done} of {total}")

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        text = visible(text)
        if self._terminal:
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        elif time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            click.echo(text, err=True)
