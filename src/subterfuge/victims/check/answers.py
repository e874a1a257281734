"""What a victim's answers must be: of the right shape, finite, the same each time, whatever the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victim import Kind, winner
from subterfuge.victims.check.session import NEAR, QUIET, SAME, Level, Session, shown

ROUNDED = 0.02
"""How far from 1 probabilities that were rounded to two digits may add up."""


def shapes(session: Session) -> tuple[Level, str]:
    """Ask: are scores and answers of the shape and type that a victim's are?"""
    k = len(session.victim.labels)
    wanted = (1, k, k) if session.victim.kind == Kind.DUELS else (1, k)
    for name, scores in session.scored.items() if session.gives_scores else ():
        if not isinstance(scores, Tensor) or tuple(scores.shape) != wanted:
            return "failure", f"scores of {name} are {shown(scores)}; shape {wanted} was expected for {k} labels"
        if scores.ndim == 3 and float((scores + scores.mT).abs().max()) > 1e-6 * session.spread:
            return "failure", f"duels of {name} are not antisymmetric: i against j is not minus j against i"
    for name, said in session.said.items():
        if not isinstance(said, Tensor) or tuple(said.shape) != (1,) or said.dtype != torch.int64:
            return "failure", f"decide of {name} gave {shown(said)}; an int64 tensor (1,) was expected"
        if not 0 <= int(said) < k:
            return "failure", f"decide of {name} gave the index {int(said)}; it has {k} labels"
    if session.gives_scores:
        return "ok", f"scores have shape {wanted} and decide gives an index, for {k} labels"
    try:
        session.victim.scores(next(iter(session.sounds.values())))
    except Exception:
        return "ok", f"decide gives an index of {k} labels, and scores refuses, as it should"
    return "warning", "it says that it gives labels only, and yet scores answers"


def finite(session: Session) -> tuple[Level, str]:
    """Ask: does it answer every sound, and with finite numbers?"""
    deaths, n = session.deaths, len(session.heard)
    if not deaths:
        known = session.known
        asked = [name for name in session.heard if name not in known]
        if not asked:
            return (
                "ok",
                f"its answers to {n} sounds are finite, and were all known, so none was asked: {', '.join(known)}",
            )
        says = f"it answers {counted(len(asked), 'sound')} with finite numbers: {', '.join(asked)}"
        return "ok", says + (f"; not asked, for it knew the answer: {', '.join(known)}" if known else "")
    first = next(iter(deaths))
    says = f"it has no answer to {len(deaths)} of {n} sounds ({', '.join(deaths)}); to {first}: {deaths[first]}"
    if _refuses_strangers(session):
        return "warning", f"{says}; it answers {', '.join(name for name in session.names if name in session.sounds)}"
    return ("warning" if set(deaths) <= QUIET else "failure"), says


def _refuses_strangers(session: Session) -> bool:
    """Say whether it has no answer but to sounds that are nobody's own, refuses these by a `VictimError`, and lives on.

    It must answer a clip, and something after the first refusal.
    """
    deaths, heard = session.deaths, list(session.heard)
    strangers = set(session.made) | (set(session.names) if session.borrowed else set())
    refused = [name for name in heard if name in deaths and isinstance(session.heard[name], VictimError)]
    if not refused or not set(deaths) <= (set(refused) | QUIET) & strangers:
        return False
    after = heard[heard.index(refused[0]) :]
    return any(name not in deaths for name in after) and any(
        name in heard and name not in deaths for name in session.names
    )


def determinism(session: Session) -> tuple[Level, str]:
    """Ask: asked twice, does it give the same?"""
    if session.heard and not session.can_ask_again:
        return "not asked", "whether it gives the same twice: that would cost more than was announced"
    apart, other = 0.0, []
    again = session.sounds if session.queries is None else dict(list(session.sounds.items())[:1])
    victim = session.afresh
    for name, wave in again.items():
        with torch.no_grad():
            ask = victim.scores if session.gives_scores else victim.decide
            answer, seconds, fresh = session.timed(lambda ask=ask, wave=wave: ask(wave))  # type: ignore[misc]
            said = victim.decide(wave) if session.gives_scores and session.queries is None else answer
        if not fresh:
            return "not asked", "whether it gives the same twice: it knew the answer, and was not asked again"
        session.again_seconds = seconds
        if session.gives_scores:
            apart = max(apart, float((answer - session.scored[name]).abs().max()))
        if (session.queries is None or not session.gives_scores) and not torch.equal(said, session.said[name]):
            other.append(name)
    if other:
        return "failure", f"asked twice, it answers another label to {', '.join(other)}: a verdict cannot be trusted"
    if apart > 0:
        share = apart / session.spread
        return (
            "ok" if share < SAME else "warning",
            f"asked twice, scores differ by {apart:.2g}, {share:.2g} of their spread",
        )
    what = "label" if not session.gives_scores else "numbers, to the last bit,"
    return "ok", f"asked twice, it gives the same {what} of {counted(len(again), 'sound')}"


def batches(session: Session) -> tuple[Level, str]:
    """Ask: does a clip feel the batch that it is asked in?"""
    if session.queries is not None:
        return "not asked", "whether a clip feels its batch: it is asked sound by sound, to save questions"
    length = next(iter(session.sounds.values())).shape[1]
    together = {name: wave for name, wave in session.sounds.items() if wave.shape[1] == length}
    batch = torch.cat(list(together.values()))
    session.asked += len(batch)
    said = session.victim.decide(batch)
    if tuple(said.shape) != (len(batch),):
        return "failure", f"decide of {len(batch)} clips gave {shown(said)}; shape ({len(batch)},) was expected"
    other = [name for name, row in zip(together, said, strict=True) if int(row) != int(session.said[name])]
    if not session.gives_scores:
        if other:
            return (
                "failure",
                f"a clip feels its batch: in a batch of {len(batch)}, {', '.join(other)} has another label",
            )
        return "ok", f"in a batch of {len(batch)}, every sound has the label that it has alone"
    with torch.no_grad():
        scores = session.victim.scores(batch)
    if len(scores) != len(batch):
        return "failure", f"scores of {len(batch)} clips are {shown(scores)}; {len(batch)} rows were expected"
    apart = max(float((scores[i] - session.scored[name][0]).abs().max()) for i, name in enumerate(together))
    share = apart / session.spread
    says = f"scores alone and in a batch of {len(batch)} differ by {apart:.2g} at most, {share:.2g} of their spread"
    if share > NEAR:
        return "failure", f"a clip feels its batch: {says}"
    if other:
        return "warning", f"{says}, and {', '.join(other)} has another label in the batch (a tie?)"
    return "ok" if share < SAME else "warning", says


def agreement(session: Session) -> tuple[Level, str]:
    """Ask: is its answer the largest of its scores, or the vote of its duels?"""
    if not session.gives_scores:
        return "ok", "it gives labels only, so there are no scores to agree with"
    other = []
    for name, scores in session.scored.items():
        best = winner(scores) if scores.ndim == 3 else scores.argmax(-1)
        if int(best) != int(session.said[name]):
            other.append(name)
    what = "the vote of its duels" if session.victim.kind == Kind.DUELS else "the largest of its scores"
    if session.victim.kind == Kind.TAGS:
        what = "the tag of the largest of its log-odds"
    n = len(session.sounds)
    if other:
        return "warning", f"its answer is not {what} for {len(other)} of {n} sounds: {', '.join(other)}"
    return "ok", f"its answer is {what} for all {n} sounds"


def sums(session: Session) -> tuple[Level, str]:
    """Ask: are its probabilities some, and do they add up to 1 where one label is right?"""
    every = [answer.chances for answer in session.answers.values()]
    if any(chances is None for chances in every):
        some = any(chances is not None for chances in every)
        return ("failure", "probabilities are None for some sounds only") if some else ("ok", "it has no probabilities")
    wanted = (1, len(session.victim.labels))
    wrong = [chances for chances in every if tuple(chances.shape) != wanted]
    if wrong:
        return "failure", f"probabilities are {shown(wrong[0])}; shape {wanted} was expected"
    rows = torch.cat([chances.double() for chances in every])
    if session.victim.kind == Kind.TAGS:
        return _sigmoids(session, rows)
    off, least = float((rows.sum(1) - 1).abs().max()), float(rows.min())
    says = f"probabilities add up to 1 within {off:.2g}; the least is {least:.2g}"
    if off > ROUNDED + 1e-9 or least < -1e-6 or not bool(torch.isfinite(rows).all()):
        return "failure", says
    return ("ok", says) if off < 1e-5 else ("warning", says + (" (are they rounded?)" if off > 1e-4 else ""))


def _sigmoids(session: Session, rows: Tensor) -> tuple[Level, str]:
    """Compare the probabilities of tags, which need not add up to anything, with the sigmoids of their log-odds."""
    least, most = float(rows.min()), float(rows.max())
    says = f"each tag has a probability of its own, {least:.2g} .. {most:.2g}"
    if least < -1e-6 or most > 1 + 1e-6 or not bool(torch.isfinite(rows).all()):
        return "failure", f"{says}, where 0 to 1 was expected"
    if not session.gives_scores:
        return "ok", says
    odds = torch.cat([scores.double() for scores in session.scored.values()])
    gap = float((odds.sigmoid() - rows).abs().max())
    says = f"{says}; they are the sigmoids of its log-odds within {gap:.2g}"
    return "failure" if gap > 1e-2 else "warning" if gap > 1e-4 else "ok", says


def meanings(session: Session) -> tuple[Level, str]:
    """Tell what it says of each sound, and doubt a victim that says the same of all."""
    labels, words, said = session.victim.labels, [], set()
    for name, answer in session.answers.items():
        best = int(answer.said)
        said.add(best)
        chance = "" if answer.chances is None else f" {float(answer.chances[0, best]):.2f}"
        title = f" ({session.titles[name]})" if name in session.titles else ""
        words.append(f"{labels[best]}{chance} of {name}{title}")
    n = len(words)
    says = f"it says {', '.join(words)}"
    if session.gives_scores and n > 1:
        rows = torch.stack([scores.flatten() for scores in session.scored.values()])
        if not bool((rows != rows[0]).any()):
            return "warning", f"{says}; its scores are the same for all {n} sounds: does it hear them?"
    if n > 1 and len(said) == 1:
        says += f"; one answer to all {n} sounds: give clips of other classes to see whether it tells them apart"
    return "ok", says


def counted(n: int, what: str) -> str:
    """Say how many of something there are.

    >>> counted(1, "sound"), counted(2, "sound")
    ('1 sound', '2 sounds')
    """
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
