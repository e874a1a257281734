"""What can be done about it: teach or wrap a victim, and audit it before and after on the same clips and targets.

Every defence is attacked by one who knows it: searches go through its own twin, with its codecs, its noise and its
gate. Beside that stands the attack that does not adapt, whose success is what most claims of defence rest on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from subterfuge.audio.place import put
from subterfuge.campaign.cases import Case, draw_cases
from subterfuge.campaign.doubts import Doubt, look, verdict
from subterfuge.campaign.effort import EFFORTS, Effort, effort_of
from subterfuge.campaign.pool import told, victim_of
from subterfuge.errors import InputError, SubterfugeError
from subterfuge.harden.accuracy import accuracy_of
from subterfuge.harden.build import Workshop, built, can_train, check_possible
from subterfuge.harden.certified import certified
from subterfuge.harden.contents import Contents
from subterfuge.harden.defences import Defence, parse_defence, parse_defences
from subterfuge.harden.doubts import compare
from subterfuge.harden.faced import Faced
from subterfuge.harden.failures import dying, told_failures
from subterfuge.harden.folder import claimed
from subterfuge.harden.memory import Memory
from subterfuge.harden.sides import askable, sides
from subterfuge.harden.strength import SNRS_DB, Plan, Strength, strength_of
from subterfuge.harden.table import HEAD, Defended, Hardened, markdown, matrix_rows, remarks, rows_of
from subterfuge.harden.transfer import Matrix, Share, matrix
from subterfuge.threat import LeastSNR
from subterfuge.training.examples import Dataset
from subterfuge.victims.smoothed import SmoothedVictim

__all__ = [
    "EFFORTS",
    "HEAD",
    "SNRS_DB",
    "Case",
    "Defence",
    "Defended",
    "Doubt",
    "Effort",
    "Hardened",
    "Matrix",
    "Plan",
    "Share",
    "Strength",
    "accuracy_of",
    "draw_cases",
    "effort_of",
    "harden",
    "markdown",
    "matrix",
    "matrix_rows",
    "parse_defence",
    "parse_defences",
    "remarks",
    "rows_of",
    "strength_of",
    "verdict",
]

CERTIFIED = 6
"""Clips of which a smoothed victim's radius is proven."""


def harden(
    card: str | Path,
    data: Dataset,
    defences: Sequence[Defence] | str,
    *,
    out: str | Path,
    clips: int = 11,
    targets: int = 1,
    effort: str = "standard",
    goal: str = "targeted",
    masked: bool = True,
    test_clips: int | None = None,
    transfer_db: float | None = 30.0,
    beside: Sequence[str | Path] = (),
    seed: int = 0,
    jobs: int = 1,
    epochs: int | None = None,
    cache: str | Path | None = None,
    trust_pickle: bool = False,
    force: bool = False,
    tell: Callable[[str, int, int], None] = lambda _, __, ___: None,
) -> Hardened:
    """Defend a victim in several ways, and audit each of them and the undefended one.

    Where the victim can be taught anew (scikit-learn on a recipe, our network), the undefended one is too, so that all
    learn the same clips and are tried on recordings that none of them heard. Another victim is taken as it is, and
    wrapped. What is finished is kept in the folder; the same call goes on where it was ended.

    Args:
        card: the victim's.
        data: clips to learn and to be tried on; split by recording, as the record of the card's training says, or a
            quarter held out.
        defences: or their words, such as ``noise,mp3=64,adversarial+smooth=0.003``.
        out: a folder for cards, models, sounds that won and the tables.
        clips: how many held-out clips are attacked.
        targets: how many targets each of them has.
        effort: quick, standard or thorough.
        goal: of the targeted searches, ``targeted`` or ``confident=P``.
        masked: whether to attack below the masking threshold too.
        test_clips: most held-out clips that clean accuracy is measured on; all of them if None.
        transfer_db: signal to noise of the changes in the transfer matrix; None for no matrix.
        beside: further cards for the matrix.
        seed: of everything random.
        jobs: processes.
        epochs: of training a network; by the number of clips if None.
        cache: a Parquet file of features.
        trust_pickle: load pickled models.
        force: overwrite another run's results in the folder.
        tell: told what is being done, and how much of how much is.

    Raises:
        InputError: nothing can be split, attacked or taught as asked.
        OutputError: the folder holds another run, one is at work in it, or it cannot be written.
        VictimError: a victim died.
    """
    wanted = parse_defences(defences) if isinstance(defences, str) else tuple(defences)
    if transfer_db is not None:
        try:
            LeastSNR(transfer_db)
        except InputError as reason:
            raise InputError(f"the changes in the transfer matrix: {reason}") from None
    out, card = Path(out).absolute(), Path(card).absolute()
    victim = victim_of(card, trust_pickle)
    notes: list[str] = [*data.skipped, *data.notes]
    some = (replace(one, path=one.path.absolute()) for one in data.examples if one.label in victim.labels)
    known = replace(data, examples=tuple(some))
    if len(known) < len(data):
        strange = sorted({one.label for one in data.examples} - set(victim.labels))
        notes.append(
            f"{len(data) - len(known)} clips are of classes that the victim does not know: {', '.join(strange)}"
        )
    if not known.examples:
        raise InputError(
            f"{data.name} has clips of {', '.join(data.labels)}, and {victim.name} knows {', '.join(victim.labels)}; "
            "labels must be the same words: rename the set's, or the card's"
        )
    for asked in wanted:
        check_possible(victim, asked)
    tries, further = effort_of(effort), [Path(each).absolute() for each in beside]
    for path in further:
        victim_of(path, trust_pickle)
    train, test, recorded = sides(card, known, seed, notes, can_train(victim))
    labels = askable(victim, known.only(train), notes)
    draw_cases(known.only(test), labels, clips, targets, seed)  # refuses, before any work, what cannot be drawn
    tested = _thinned(test, test_clips, seed)
    heard = [known.examples[place].path for place in sorted({*tested, *(train if can_train(victim) else ())})]
    contents = Contents(out)
    setting = {
        "victim": str(card),
        "fingerprint": victim.fingerprint,
        "data": known.name,
        "data_sha256": known.names_sha256,
        "contents": contents.of_all(heard, lambda done: tell("what the clips hold", done, len(heard))),
        "learned": len(train),
        "held_out": len(test),
        "defences": [one.name for one in wanted],
        "clips": clips,
        "targets": targets,
        "effort": effort,
        "goal": goal,
        "masked": masked,
        "seed": seed,
        "transfer_db": transfer_db,
    }
    searches = ("targeted", "untargeted", "masked") if masked else ("targeted", "untargeted")
    shop = Workshop(
        known, tuple(train), out, seed, jobs, None if cache is None else Path(cache), trust_pickle, epochs, tell, notes
    )
    with claimed(out, setting, force):
        contents.keep()
        memory = Memory(out / "cases.jsonl")
        base = card
        if can_train(victim) and not recorded:
            base = built(victim, base, None, shop, memory)
            notes.append("the victim was taught anew, so that it and its defences learned the same clips")
        elif not recorded:
            notes.append("the victim is taken as it is: if it learned some of these clips, its accuracy flatters")
        victims: list[Defended] = []
        elsewhere: list[str | None] = []
        notes.append("clips were drawn from those held-out ones that the undefended victim answers rightly")
        for one in (None, *wanted):
            name = "undefended" if one is None else one.name
            there = base if one is None else built(victim, base, one, shop, memory)
            with dying(name, out):
                clean = accuracy_of(there, [known.examples[place] for place in tested], memory=memory, jobs=jobs,
                                    trust_pickle=trust_pickle, tell=partial(tell, f"{name}: clean clips"))  # fmt: skip
            if not victims:
                wrong = {*clean["wrong"], *clean.get("unread", ())}
                notes += [f"left out: {one}" for one in clean["skipped"]]
                right = [place for place in tested if str(known.examples[place].path) not in wrong]
                if not right:
                    raise InputError(
                        f"{victim.name} is wrong about all {len(tested)} held-out clips: nothing can be turned"
                    )
                plan = Plan(draw_cases(known.only(right), labels, clips, targets, seed), tries, searches, goal, seed)
                cases, elsewhere = plan.cases, [None] * len(plan.cases)
            tell(f"{name}: attacks", 0, len(cases))
            strength = strength_of(
                there,
                plan,
                folder=out / "sounds" / name.replace("/", "-"),
                memory=memory,
                elsewhere=elsewhere,
                jobs=jobs,
                trust_pickle=trust_pickle,
                clean=clean,
                progress=partial(tell, f"{name}: attacks"),
            )
            if not victims:
                elsewhere = [_file_of(case) for case in strength.faced]
            own = told_failures(strength)
            tell(f"{name}: doubts", 0, 1)
            loaded, doubts, proven, looked = victim_of(there, trust_pickle), compare(strength, goal), None, True
            try:
                doubts = [*look(loaded, cases), *doubts]
                if isinstance(loaded, SmoothedVictim):
                    proven = certified(loaded, cases, strength, CERTIFIED, memory, partial(tell, f"{name}: proofs"))
            except SubterfugeError as error:
                looked = False
                own.append(f"it could not be looked at for doubts: {told(error)}")
            victims.append(Defended(name, strength, tuple(doubts), tuple(own), proven, looked))
            _write(out, Hardened(tuple(victims), None, setting, (*notes, "the run is not finished")))
        carried = None
        if transfer_db is not None:
            cards = _alike([Path(each.strength.card) for each in victims] + further, trust_pickle, notes)
            try:
                carried = matrix(cards, cases, snr_db=transfer_db, seed=seed, jobs=jobs, trust_pickle=trust_pickle,
                                 progress=partial(tell, "transfer"))  # fmt: skip
            except SubterfugeError as error:
                notes.append(f"no transfer matrix: {error}")
        hardened = Hardened(tuple(victims), carried, setting, tuple(dict.fromkeys(notes)))
        _write(out, hardened)
        return hardened


def _alike(cards: list[Path], trust_pickle: bool, notes: list[str]) -> list[Path]:
    """Keep those victims that have the labels of the first: a change can be carried over between these."""
    labels = set(victim_of(cards[0], trust_pickle).labels)
    alike = [card for card in cards if set(victim_of(card, trust_pickle).labels) == labels]
    notes += [f"not in the transfer matrix, for its other labels: {card.stem}" for card in cards if card not in alike]
    return alike


def _thinned(test: list[int], most: int | None, seed: int) -> list[int]:
    if most is not None and most < 1:
        raise InputError(f"{most} test clips: one or more were expected")
    if most is None or most >= len(test):
        return test
    return sorted(np.random.default_rng([seed, 7]).choice(test, most, replace=False).tolist())


def _file_of(one: Faced) -> str | None:
    found = one.attempts.get("targeted")
    return None if found is None or not found.won or found.already else found.file


def _write(out: Path, hardened: Hardened) -> None:
    text = json.dumps(hardened.json(), indent=1, ensure_ascii=False, default=str) + "\n"
    put(text.encode(), out / "harden.json", check=lambda _: None)
    put(markdown(hardened).encode(), out / "harden.md", check=lambda _: None)
