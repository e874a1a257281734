"""What a victim's answers must be: of the right shape, finite, the same each time, whatever the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.victim import Kind, winner
from subterfuge.victims._check_session import NEAR, QUIET, SAME, Level, Session, probabilities_of, shown


def shapes(session: Session) -> tuple[Level, str]:
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
    deaths, n = session.deaths, len(session.every)
    if not deaths:
        return "ok", f"it answers {', '.join(session.made)} and {len(session.clips)} clips with finite numbers"
    first = next(iter(deaths))
    says = f"it has no answer to {len(deaths)} of {n} sounds ({', '.join(deaths)}); to {first}: {deaths[first]}"
    return ("warning" if set(deaths) <= QUIET else "failure"), says


def determinism(session: Session) -> tuple[Level, str]:
    apart, other = 0.0, []
    for name, wave in session.sounds.items():
        if not torch.equal(session.victim.decide(wave), session.said[name]):
            other.append(name)
        if session.gives_scores:
            with torch.no_grad():
                again = session.victim.scores(wave)
            apart = max(apart, float((again - session.scored[name]).abs().max()))
    if other:
        return "failure", f"asked twice, it answers another label to {', '.join(other)}: a verdict cannot be trusted"
    if apart > 0:
        share = apart / session.spread
        return (
            "ok" if share < SAME else "warning",
            f"asked twice, scores differ by {apart:.2g}, {share:.2g} of their spread",
        )
    return "ok", f"asked twice, it answers the same to {len(session.sounds)} sounds, to the last bit"


def batches(session: Session) -> tuple[Level, str]:
    length = next(iter(session.sounds.values())).shape[1]
    together = {name: wave for name, wave in session.sounds.items() if wave.shape[1] == length}
    batch = torch.cat(list(together.values()))
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
    if not session.gives_scores:
        return "ok", "it gives labels only, so there are no scores to agree with"
    other = []
    for name, scores in session.scored.items():
        best = winner(scores) if scores.ndim == 3 else scores.argmax(-1)
        if int(best) != int(session.said[name]):
            other.append(name)
    what = "the vote of its duels" if session.victim.kind == Kind.DUELS else "the largest of its scores"
    n = len(session.sounds)
    if other:
        return "warning", f"its answer is not {what} for {len(other)} of {n} sounds: {', '.join(other)}"
    return "ok", f"its answer is {what} for all {n} sounds"


def sums(session: Session) -> tuple[Level, str]:
    every = [probabilities_of(session.victim, wave) for wave in session.sounds.values()]
    if any(chances is None for chances in every):
        some = any(chances is not None for chances in every)
        return ("failure", "probabilities are None for some sounds only") if some else ("ok", "it has no probabilities")
    wanted = (1, len(session.victim.labels))
    wrong = [chances for chances in every if chances is not None and tuple(chances.shape) != wanted]
    if wrong:
        return "failure", f"probabilities are {shown(wrong[0])}; shape {wanted} was expected"
    rows = torch.cat([chances.double() for chances in every if chances is not None])
    off, least = float((rows.sum(1) - 1).abs().max()), float(rows.min())
    says = f"probabilities add up to 1 within {off:.2g}; the least is {least:.2g}"
    if off > 1e-3 or least < -1e-6 or not bool(torch.isfinite(rows).all()):
        return "failure", says
    return "ok" if off < 1e-5 else "warning", says
