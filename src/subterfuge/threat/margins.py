"""How far past the goal an answer is: margins of scores, of duels, of the vote, and log-odds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from subterfuge.victim import duels_of


def duel_margin(answer: Tensor, focus: Tensor) -> Tensor:
    """Give the least of the duels of class `focus`, shape (N,): above 0 it beats every other class.

    For class scores that is the score less the best other score. For one-versus-one duels it is enough for the vote
    but not necessary, see `vote_margin`.
    """
    if answer.ndim == 2:
        mine = answer.gather(1, focus[:, None])[:, 0]
        return mine - answer.scatter(1, focus[:, None], -math.inf).amax(1)
    own = answer[torch.arange(len(focus), device=answer.device), focus]
    return own.scatter(1, focus[:, None], math.inf).amin(1)


def vote_margin(answer: Tensor, focus: Tensor) -> Tensor:
    """Give the distance of class `focus` from the edge of winning the vote, shape (N,): above 0, `predict` says it.

    The largest e at which it still wins when every duel, its own and those among its rivals, moves by e against it
    (the sup norm in the space of duels). It is one of the duels, so it has a gradient: its own last needed duel, or
    minus that of a rival about to gain a vote. A class may win with fewer than all of its duels; ties go to the first
    class, as in libsvm's ``svm_predict``.
    """
    duels = duels_of(answer)
    rows, classes, _ = duels.shape
    here = torch.arange(rows, device=duels.device)
    mine = torch.nn.functional.one_hot(focus, classes).bool()
    own = duels[here, focus].masked_fill(mine, -math.inf)
    off = mine[:, :, None] | mine[:, None, :] | torch.eye(classes, dtype=torch.bool, device=duels.device)
    others = duels.masked_fill(off, -math.inf)
    edges = torch.cat([own, -others.flatten(1)], dim=1)
    with torch.no_grad():
        finite = edges.isfinite()
        e = edges.where(finite, 0.0)[:, :, None]
        held = own[:, None, :] >= e
        rivals = (others[:, None] > -e[..., None]).sum(3) + (~held).long()
        votes = held.sum(2, keepdim=True)
        later = torch.arange(classes, device=duels.device)[None, None, :] > focus[:, None, None]
        safe = (rivals < votes) | ((rivals == votes) & later) | mine[:, None, :]
        wins = safe.all(2) & finite
        edge = edges.detach().masked_fill(~wins, -math.inf).argmax(1)
    return edges[here, edge]


def soft_duel(answer: Tensor, focus: Tensor) -> Tensor:
    """Give a soft least of the duels of class `focus`, shape (N,): minus the log of the sum of exp(-duel)."""
    duels = duels_of(answer)
    own = duels[torch.arange(len(focus), device=duels.device), focus]
    return -torch.logsumexp(-own.scatter(1, focus[:, None], math.inf), dim=1)


def log_odds(probabilities: Tensor, focus: Tensor) -> Tensor:
    """Give log(p / (1 - p)) of class `focus`, shape (N,), of probabilities (N, K), finite also where p is 0 or 1."""
    tiny = torch.finfo(probabilities.dtype).tiny
    mine = probabilities.gather(1, focus[:, None])[:, 0]
    rest = probabilities.scatter(1, focus[:, None], 0.0).sum(1)
    odds: Tensor = mine.clamp_min(tiny).log() - rest.clamp_min(tiny).log()
    return odds


def tag_odds(answer: Tensor, focus: Tensor) -> Tensor:
    """Give the log-odds of one tag each, shape (N,), of a tagger's scores (N, K): its own number, whatever the rest."""
    return answer.gather(1, focus[:, None])[:, 0]
