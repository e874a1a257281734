"""What an outcome remarks on its own figures."""

from __future__ import annotations

import math
from typing import Any

from subterfuge.hearing.compare import Difference
from subterfuge.threat import Maximise, Threat


def remarks_on(difference: Difference, noise: dict[str, Any] | None, threat: Threat) -> list[str]:
    """Say what a win is not worth, and where a limit is not what it seems."""
    remarks = []
    if isinstance(threat.goal, Maximise) and difference.snr_db == math.inf:
        remarks.append("nothing was gained: the clip comes back unchanged")
    if difference.snr_db < 0:
        remarks.append(f"the change is louder than the sound: {difference.snr_db:.1f} dB SNR")
    same = noise["same_level_and_spectrum"] if noise else {"hits": 0, "draws": 1}
    if same["hits"] * 2 >= same["draws"]:
        remarks.append(
            f"noise as loud wins as well, {same['hits']} of {same['draws']}: the attack gains nothing over it"
        )
    alone = difference.share_above_threshold_channels or 0.0
    if alone > max(0.01, 2 * (difference.share_above_threshold or 0.0)):
        remarks.append(
            f"one channel hides less than the mean of all: over the channels {100 * alone:.0f} % of the cells lie "
            "above the masking threshold; --limit masking minds it"
        )
    most = getattr(threat.limit, "peak", None)
    if most is not None and (difference.peak or 0) > most:
        remarks.append("the limit binds the mono fold at the victim's rate; a sample of the file changed by more")
    return remarks
