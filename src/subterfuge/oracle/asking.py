"""One question to a victim: what a goal reads of it, and the slope of what it reads."""

from __future__ import annotations

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.threat import Goal, TagOff, TagOn
from subterfuge.threat.tags import hard
from subterfuge.victim import Gives, Victim


def answer_for(goal: Goal, victim: Victim, wave: Tensor, *, labels_only: bool = False) -> Tensor | None:
    """Give what a goal reads of a victim: scores, or probabilities (None if it has none).

    A victim that gives labels only, or of which no more is to be seen, scores 1 for what it says and 0 for the rest; of
    a tagger, for a goal about a tag, it is seen which tags are on.
    """
    if goal.asks == "probabilities":
        return victim.probabilities(wave)
    if isinstance(goal, TagOn | TagOff) and labels_only:
        return hard(goal, victim.scores(wave))
    if labels_only or victim.gives is Gives.LABELS:
        classes = len(victim.labels)
        said = victim.decide(wave)
        if said.shape != wave.shape[:1] or said.is_floating_point() or bool(((said < 0) | (said >= classes)).any()):
            raise VictimError(
                f"the victim answered {len(wave)} clips with labels {said.tolist()}; "
                f"{len(wave)} whole numbers from 0 to {classes - 1} were expected"
            )
        return torch.nn.functional.one_hot(said.long(), classes).double()
    return victim.scores(wave)


def slope_of(hill: Tensor, wave: Tensor) -> Tensor:
    """Give the slope of each row's number (n,) along its wave (n, T).

    Raises:
        VictimError: there is none, or it holds NaN or infinite numbers.
    """
    try:
        slope = torch.autograd.grad(hill.sum(), wave, allow_unused=True)[0] if hill.requires_grad else None
    except Exception as reason:
        raise VictimError(f"the victim died on the way back from its scores: {reason}") from reason
    if slope is None:
        raise VictimError(
            "the victim's scores have no gradient along the wave, though it is said to give them; keep its answer a "
            "function of the wave in torch (no detach, no numpy), or let it give scores only"
        )
    if not bool(torch.isfinite(slope).all()):
        raise VictimError("the victim's gradient holds NaN or infinite numbers, where finite ones were expected")
    return slope
