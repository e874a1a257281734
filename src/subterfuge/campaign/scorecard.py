"""The scorecard: what an audit comes to, in a word, in one line, in sentences, and what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from subterfuge.campaign._figures_asked import Unasked, short_of
from subterfuge.campaign._scorecard_bars import Bar, bars, check_bars
from subterfuge.campaign._scorecard_next import next_of
from subterfuge.campaign._scorecard_words import FEW, attacked, line_of, sentences_of
from subterfuge.campaign.figures import Figures, Searched
from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import are, counted, said

__all__ = ["VERDICTS", "Bar", "Scorecard", "bars", "check_bars", "scorecard_of"]

FOOLED_DB = 40.0
"""Above this a change is a hundredth of the sound or less in amplitude: in music it is at or under what one hears."""
ROBUST_DB = 20.0
"""A change this far below the sound is a tenth of it: plainly heard, unless it is shaped to hide, and that is what the
masking threshold asks."""
SMALL_MOS = 4.5
"""Zimtohrli's score from which a change is near no difference (5); at 4 one hears it, and it does not annoy."""
MOST = 0.5
"""Of the clips that are right as they come: more than this part turned, and most are."""
VERDICTS = {
    "incomplete": "jobs failed or are left, or nothing was attacked: what is missing might say otherwise",
    "fooled": "most clips turn below the masking threshold, or at a median SNR needed above 40 dB with an opinion "
    "score near no difference: proven on the files, whatever doubts there are",
    "doubtful": "it was not fooled, and something says that its gradients are hidden: it may be weaker than it looks",
    "robust": "most clips that are right as they come stand at 20 dB SNR and below the masking threshold, by every "
    "search that was asked; the strongest that it allows, and the one below the threshold, were asked of each",
    "unproven": "it stands what was asked, and what would say more was not asked, or with fewer queries than the "
    "level's",
    "weak": "neither: a change that can be heard turns most clips, and need not be a tenth of the sound",
}
"""Every word that a verdict can be, in the order in which they are tried, and what it says."""


@dataclass(frozen=True)
class Scorecard:
    """What an audit comes to."""

    line: str
    """For a release note."""
    verdict: str
    """A key of `VERDICTS`."""
    sentences: tuple[str, ...]
    """What was found."""
    next: tuple[str, ...]
    """What to do next."""

    def json(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        told = asdict(self)
        return told | {"says": VERDICTS[self.verdict]} | {key: list(told[key]) for key in ("sentences", "next")}


def scorecard_of(audit: Audit, figures: Figures) -> Scorecard:
    """Say what an audit comes to.

    Args:
        audit: finished, or as far as it came.
        figures: of this audit.
    """
    verdict, why, clips = _verdict(audit, figures)
    name = said(audit.setting.get("victim", {}).get("name", "victim"))
    few = verdict != "incomplete" and clips < FEW
    if few:
        why += f"; that rests on {counted(clips, 'clip')}, and of so few no verdict holds for long"
    sentences = (f"{name} is {verdict}: {why}.", *sentences_of(audit, figures))
    return Scorecard(line_of(audit, figures), verdict, sentences, tuple(next_of(audit, figures, verdict, few)))


def _verdict(audit: Audit, figures: Figures) -> tuple[str, str, int]:
    """Give the word, why, and on how many clips it rests."""
    if not audit.complete:
        return "incomplete", f"{figures.done} of {counted(figures.jobs, 'job')} {are(figures.done)} done", 0
    if not any(one.asked for one in figures.searches):
        return "incomplete", "no search had anything to do", 0
    fooled = _fooled(figures)
    if fooled is not None:
        return "fooled", *fooled
    hiding = [said(one.get("sign", "?")) for one in audit.doubts if one.get("hides")]
    if hiding:
        why = f"its gradients may be hidden, or the search is too weak ({', '.join(hiding)})"
        return "doubtful", why, attacked(audit)
    return _stands(audit, figures)


def _fooled(figures: Figures) -> tuple[str, int] | None:
    below = figures.robust_at(None)
    if below is not None and below.right and below.stands < (1 - MOST) * below.right:
        turned = below.right - below.stands
        return (
            f"{turned} of {counted(below.right, 'clip')} that it was right about {'turns' if turned == 1 else 'turn'} "
            "below the masking threshold"
        ), below.right
    best = _deciding(figures)
    if best is None:
        return None
    score = "" if best.mos.value is None else f", opinion score {best.mos.value:.2f} of 5"
    return (
        f"the search {best.probe} needs a change of {best.snr_db.value:.1f} dB SNR only (median{score}; of "
        f"{counted(best.clips, 'clip')}, {best.right} right as {'it' if best.clips == 1 else 'they'} came)"
    ), best.clips


def _deciding(figures: Figures) -> Searched | None:
    """Give the quiet search that decides: ``white``, else what needs least; one of few clips only where all are."""
    free = [one for one in figures.searches if not one.limit and one.asked]
    if any(one.clips >= FEW for one in free):
        free = [one for one in free if one.clips >= FEW]
    return max(filter(_quiet, free), key=lambda one: (one.probe == "white", one.snr_db.value or 0.0), default=None)


def _quiet(one: Searched) -> bool:
    loud = one.snr_db.value is None or one.snr_db.value <= FOOLED_DB
    return not loud and (one.mos.value is None or one.mos.value >= SMALL_MOS)


def _stands(audit: Audit, figures: Figures) -> tuple[str, str, int]:
    at, below = figures.robust_at(ROBUST_DB), figures.robust_at(None)
    if at is None or not at.right:
        return "weak", "none of the attacked clips is answered rightly as it comes", attacked(audit)
    words = f"{at.stands} of {counted(at.right, 'clip')} that it was right about "
    words += f"{'stands' if at.stands == 1 else 'stand'} at {ROBUST_DB:g} dB SNR"
    if below is not None:
        words += f", {below.stands} of {below.right} below the masking threshold"
    if at.stands < MOST * at.right:
        return "weak", words + ("; below the masking threshold nothing was sought" if below is None else ""), at.right
    lacking = [*map(_unasked, figures.unasked), *short_of(audit, made=True)]
    if lacking:
        return "unproven", f"{words}, but {'; '.join(lacking)}", at.right
    return "robust", words, at.right


def _unasked(one: Unasked) -> str:
    of = "" if one.clips == one.of else f" of {counted(one.clips, 'clip')}"
    return f"the search {said(one.probe)} was not made{of}"
