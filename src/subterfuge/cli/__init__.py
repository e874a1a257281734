"""The command line: parse, one library call, print.

Exit codes: 0 won or done; 1 a bar that the caller set was missed; 2 the user's mistake; 3 the search ended without a
win; 4 the victim died; 130 interrupted; 141 whoever read the output went away; 143 told to stop.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import click

from subterfuge.cli.attack import attack as attack_command
from subterfuge.cli.audit import audit as audit_command
from subterfuge.cli.card import card as card_command
from subterfuge.cli.check import check as check_command
from subterfuge.cli.compare import compare as compare_command
from subterfuge.cli.control import control as control_command
from subterfuge.cli.data import data as data_command
from subterfuge.cli.demo import demo as demo_command
from subterfuge.cli.diff import diff as diff_command
from subterfuge.cli.ending import INTERRUPTED, STOPPED, Stopped, watch_for_signals
from subterfuge.cli.evaluate import evaluate as evaluate_command
from subterfuge.cli.harden import harden as harden_command
from subterfuge.cli.harden import matrix as matrix_command
from subterfuge.cli.listen import listen as listen_command
from subterfuge.cli.lists import attacks as attacks_command
from subterfuge.cli.lists import victims as victims_command
from subterfuge.cli.options import Group, examples
from subterfuge.cli.report import report as report_command
from subterfuge.cli.score import score as score_command
from subterfuge.cli.serve import serve as serve_command
from subterfuge.cli.show import echo
from subterfuge.cli.survive import survive as survive_command
from subterfuge.cli.survive import transforms as transforms_command
from subterfuge.cli.synthesise import synthesise as synthesise_command
from subterfuge.cli.train import train as train_command
from subterfuge.cli.transfer import transfer as transfer_command
from subterfuge.cli.universal import universal as universal_command
from subterfuge.errors import InputError, SubterfugeError

PIPE_CLOSED = 141


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "subterfuge demo",
        "subterfuge attack flute.wav --victim tuned.toml --target tru",
        "subterfuge score *.wav --victim tuned.toml",
    ),
)
@click.version_option(package_name="sonic-subterfuge", prog_name="subterfuge")
def cli() -> None:
    """How little must change in a sound before a classifier believes something else?"""


for command in (
    attack_command,
    score_command,
    control_command,
    survive_command,
    harden_command,
    matrix_command,
    transfer_command,
    synthesise_command,
    universal_command,
    train_command,
    evaluate_command,
    listen_command,
    audit_command,
    compare_command,
    report_command,
    serve_command,
    attacks_command,
    transforms_command,
    victims_command,
    card_command,
    check_command,
    diff_command,
    data_command,
    demo_command,
):
    cli.add_command(command)


def guarded(run: Callable[[], Any]) -> int:
    """Run a command; turn errors into one paragraph and an exit code."""
    stdout = sys.stdout
    try:
        run()
    except SubterfugeError as error:
        first, *others = map(str, error.args or ("",))
        echo(f"error: {first}", *others, err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Stopped:
        return STOPPED
    except (KeyboardInterrupt, click.Abort):
        echo("interrupted; nothing half-written was left", err=True)
        return INTERRUPTED
    except SystemExit:
        if sys.stdout is stdout:
            raise
        return PIPE_CLOSED  # click has met it, put another stdout there, and would exit with 1, which is a bar's
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        echo(f"error: {what}{error.strerror or error}. Is the disk full, or a file in use?", err=True)
        return InputError.exit_code
    return 0


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):  # a name that a terminal cannot show must not end the work
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    watch_for_signals()
    sys.exit(guarded(lambda: cli.main(prog_name="subterfuge", standalone_mode=False)))
