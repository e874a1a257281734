"""What one victim's cases say against its white box: an attack that sees less did better, or any size was too small."""

from __future__ import annotations

from subterfuge.campaign.doubts import BETTER_DB, Doubt
from subterfuge.harden.strength import Strength


def compare(strength: Strength, goal: str = "targeted") -> list[Doubt]:
    """Hold the white box against the attacks that see less, and against what must always work.

    With a goal such as ``confident=0.99`` nothing must: an honest victim may never be so sure.
    """
    beaten = by_other = compared = carried = lost = asked = 0
    for one in strength.faced:
        white, black = one.attempts.get("targeted"), one.attempts.get("black box")
        if white is None or white.already or white.gradients == 0:
            continue
        asked += 1
        lost += not white.won
        best = white.snr_db if white.won and white.snr_db is not None else -999.0
        if black is not None:
            compared += 1
            beaten += black.won and black.snr_db is not None and black.snr_db > best + BETTER_DB
        if one.found_elsewhere_db is not None:
            carried += 1
            by_other += one.found_elsewhere_db > best + BETTER_DB
    doubts = []
    if beaten:
        doubts.append(
            Doubt("black box", True, f"the black box does better than the white box on {beaten} of {compared} cases")
        )
    if by_other:
        doubts.append(
            Doubt(
                "found elsewhere",
                True,
                f"a change found on the undefended victim does better than the white box on {by_other} of "
                f"{carried} cases",
            )
        )
    if lost and goal == "targeted":
        doubts.append(
            Doubt(
                "lost without a limit",
                True,
                f"{lost} of {asked} searches found no change at all, though any size was allowed, and the sound of "
                "the target itself is one",
            )
        )
    return doubts
