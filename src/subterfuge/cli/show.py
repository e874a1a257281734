"""How results look on a terminal, and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from subterfuge.outcome import Outcome


def print_outcome(outcome: Outcome) -> None:
    """Tell of one outcome in a few lines."""
    goal, tag = outcome.target or "anything else", tag_of(outcome)
    if outcome.already:
        echo(f"{outcome.clip['name']}: {tag or goal} already; copied unchanged to {outcome.file}")
    elif outcome.won:
        mos = "" if outcome.zimtohrli_mos is None else f", zimtohrli MOS {outcome.zimtohrli_mos:.2f}"
        if outcome.nmr_db is not None:
            mos = f", {outcome.nmr_db:.1f} dB noise to mask{mos}"
        came = f"{tag}{percent(outcome.probability)}" if tag else f"{outcome.predicted}{chance(outcome)}"
        echo(
            f"{outcome.clip['name']}: {outcome.predicted_before} -> {came}"
            f", {number(outcome.snr_db)} dB SNR{mos}, {outcome.seconds:.0f} s"
        )
        if outcome.control is not None:
            same, level = outcome.control["same_level_and_spectrum"], outcome.control["white_noise_snr_db"]
            alone = "never reaches it" if level is None else f"reaches it at {level:.0f} dB"
            echo(f"  noise of the same level and spectrum: {same['hits']} of {same['draws']}; white noise {alone}")
        echo(f"  {outcome.file}")
    else:
        still = "still says" if outcome.predicted == outcome.predicted_before else "says"
        still = f"wanted was {tag}, the top tag is" if tag else f"the victim {still}"
        echo(f"{outcome.clip['name']}: lost, {still} {outcome.predicted}; {outcome.advice}")
    print_paid(outcome.service)
    print_warnings(outcome.warnings)


def print_paid(*services: Mapping[str, Any] | None) -> None:
    """Tell what a victim that counts its queries cost, if it was one; each of several on a line."""
    from subterfuge.driver.service import words_of

    for service in services:
        if service is not None:
            echo(f"  paid: {words_of(service)}")


def tag_of(outcome: Outcome) -> str | None:
    """Say what is wanted of a tag, or give None for a goal that is about the answer."""
    if not outcome.goal.startswith(("tag+", "tag-")):
        return None
    return f"{outcome.target} {'on' if outcome.goal.startswith('tag+') else 'off'}"


def chance(outcome: Outcome) -> str:
    """Show the probability on record, with its class where that is not the one that the file is taken for."""
    said, about = percent(outcome.probability), outcome.target or outcome.predicted_before
    return said if not said or about == outcome.predicted else f" ({about}{said.replace('(', '')}"


def percent(p: float | None) -> str:
    """Show a probability, or nothing."""
    return "" if p is None else f" ({100 * p:.1f} %)"


def print_table_of(outcomes: Sequence[Outcome]) -> None:
    """Tell of several outcomes, a row each."""
    rows = []
    for one in outcomes:
        noise = "" if one.control is None else number(one.control["white_noise_snr_db"], nothing="never")
        rows.append(
            [
                one.clip["name"],
                f"{one.predicted_before} -> {tag_of(one) or one.target or 'other'}",
                "won" if one.won else "lost",
                one.predicted,
                "" if one.probability is None else f"{one.probability:.2f}",
                number(one.snr_db) if one.won else "",
                "" if one.nmr_db is None or not one.won else f"{one.nmr_db:.1f}",
                noise,
                "" if one.zimtohrli_mos is None or not one.won else f"{one.zimtohrli_mos:.2f}",
                f"{one.seconds:.0f}",
            ]
        )
    heads = ["clip", "goal", "", "file says", "P", "SNR dB", "NMR dB", "white noise dB", "MOS", "s"]
    print_table(heads, rows)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(Text(visible(head))) for head in heads), box=SIMPLE)
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def print_warnings(warnings: Sequence[str]) -> None:
    """Tell warnings on standard error."""
    for warning in warnings:
        echo(f"  note: {warning}", err=True)


def number(value: float | None, nothing: str = "-") -> str:
    """Show a number in four digits."""
    if value is None:
        return nothing
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def plain(value: Any) -> Any:
    """Turn anything into plain JSON values."""
    from subterfuge.outcome import finite

    return json.loads(json.dumps(finite(value), default=str))


def print_json(value: Any) -> None:
    """Print JSON."""
    click.echo(json.dumps(value, indent=1, allow_nan=False))


def echo(*lines: str, err: bool = False) -> None:
    """Print lines that may hold what a file's name, a model, a server or a program said; each stays one line."""
    click.echo("\n".join(visible(line) for line in lines), err=err)


def visible(text: str) -> str:
    r"""Show as codes what steers a terminal or turns the direction of writing, and so would show a text as another.

    >>> visible("flu\x1b[2J\u202ecba")
    'flu\\x1b[2J\\u202ecba'
    """
    kept = "\u00a0\u200c\u200d"
    return "".join(one if one.isprintable() or one in kept else ascii(one)[1:-1] for one in text)
