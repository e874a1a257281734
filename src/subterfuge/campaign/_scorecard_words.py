"""A scorecard's words: one line for a release note, what was found, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from subterfuge.campaign.figures import Estimate, Figures, OfPair, Searched
from subterfuge.campaign.rows import Audit

TURNED = {"white": "white box", "untargeted": "untargeted"}
FIRST = ("denoise", "requantise", "lowpass", "mp3")
"""Transforms that `subterfuge harden` can put before a victim."""
BLIND = ("scores", "labels")
"""Searches that hidden gradients do not stop, and that more queries help."""
DEADLY = 0.25
"""A transform that at most this part of the wins survives is worth trying before the victim."""
POOR = 0.6
"""Clean accuracy under which the clips, or the model, want work before its robustness does."""
NEXT_LEVEL = {"quick": "standard", "standard": "thorough"}


def line_of(audit: Audit, figures: Figures) -> str:
    """Give the line that a release note can carry."""
    setting, clean = audit.setting, figures.clean
    parts = [f"clean {percent(clean.accuracy)} of {clean.of}" if clean.of else "clean accuracy not known"]
    below = figures.robust_at(None)
    if below is not None:
        parts.append(f"robust below the masking threshold {100 * (below.accuracy.value or 0):.0f} %")
    shown = [one for one in figures.searches if not one.limit and one.asked]
    if any(one.probe == "white" for one in shown):
        shown = [one for one in shown if one.probe != "untargeted"]
    parts += [_needed(one) for one in shown]
    survival = figures.survival
    if survival.everything.share.value is not None:
        tried = sum(one.tried > 0 for one in survival.transforms)
        parts.append(f"wins survive {100 * survival.everything.share.value:.0f} % of {tried} transform{_s(tried)}")
    if not audit.complete:
        parts.append(f"incomplete: {figures.done} of {figures.jobs} jobs done")
    protocol = " ".join(str(setting.get(key, "?")) for key in ("protocol", "version", "level"))
    name = said(setting.get("victim", {}).get("name", "victim"))
    return f"{name}: {'; '.join(parts)} ({protocol}, seed {setting.get('seed', '?')})"


def sentences_of(audit: Audit, figures: Figures) -> list[str]:
    """Say what was found, with numbers."""
    told: list[str] = []
    if not audit.complete:
        told.append(_incomplete(audit, figures))
    elif figures.failed:
        count = figures.failed
        told.append(f"{count} sound{_s(count)} could not be read, and count{'s' if count == 1 else ''} nowhere.")
    clean = figures.clean
    if clean.of:
        unknown = f"; of {clean.unknown} more the label is not known" if clean.unknown else ""
        told.append(
            f"It is right about {clean.right} of {clean.of} unchanged clips: {percent(clean.accuracy)}{unknown}."
        )
    elif clean.unknown:
        told.append(f"No label is known of the {clean.unknown} clips that it answered: there is no clean accuracy.")
    told += _robust(figures)
    told += [_search(one) for one in figures.searches if one.asked]
    hits, draws = (sum(getattr(one.noise, name) for one in figures.searches) for name in ("hits", "draws"))
    if draws:
        told.append(
            f"Noise as loud as the wins and of the same spectrum does what they do in {100 * hits / draws:.0f} % of "
            f"{draws} draws."
        )
    told += _hardest(figures)
    survival = figures.survival.everything
    if survival.share.value is not None:
        deadly = next(one for one in figures.survival.transforms if one.share.value is not None)
        told.append(
            f"The wins come through {percent(survival.share)} of {survival.telling} trials that tell; deadliest is "
            f"{said(deadly.transform)}: {deadly.survived} of {deadly.telling} come through."
        )
    told += [f"Doubt ({said(one.get('sign', '?'))}): {said(one.get('words', ''))}." for one in audit.doubts]
    return told


def next_of(audit: Audit, figures: Figures, verdict: str) -> list[str]:
    """Say what to do next, with commands; CLIPS and DATA are the user's own."""
    card, folder = str(audit.setting.get("victim", {}).get("card", "CARD")), audit.folder
    again = f"subterfuge audit {shlex.quote(said(card))} CLIPS"
    steps: list[str] = []
    if figures.left:
        steps.append(f"Give the same command once more: it goes on with the {_jobs(figures.left)} left.")
    if figures.failed and not audit.complete:
        where = shlex.quote(said(folder))
        steps.append(f"Do the {_jobs(figures.failed)} that failed again: `{again} --out {where} --retry`.")
    if not figures.searches or not any(one.asked for one in figures.searches):
        steps.append(f"Nothing was attacked: ask for searches, `{again} --out audit`.")
        return steps
    if any(one.get("hides") for one in audit.doubts):
        blind = ",".join(one.probe for one in figures.searches if one.probe in BLIND) or "labels"
        steps.append(
            "Do not trust what looks robust: gradients may be hidden. See `subterfuge check "
            f"{shlex.quote(said(card))}`, then give the black boxes more, "
            f"`{again} --only {blind} --queries 10000 --out black-box`."
        )
    accuracy = figures.clean.accuracy.value
    if accuracy is not None and accuracy < POOR:
        steps.append(
            "It is wrong about many clips as they come. Look at which first: `subterfuge evaluate "
            f"{shlex.quote(said(card))} DATA --out evaluation`; then at robustness."
        )
    if verdict in ("fooled", "weak", "doubtful"):
        steps.append(_harden(figures, card))
    if verdict in ("fooled", "weak"):
        steps += _listen(figures, folder)
    steps += _look(figures)
    level = NEXT_LEVEL.get(str(audit.setting.get("level")))
    if level and verdict in ("weak", "robust", "doubtful"):
        steps.append(f"Make sure, on more clips and with more effort: `{again} --{level} --out {level}`.")
    if verdict == "robust":
        steps.append(
            f"Keep it so: `{again} --out audit --fail-under {_bars(figures)}` in CI, and the line in the notes."
        )
    return steps


def percent(share: Estimate) -> str:
    """Show a share with its interval.

    >>> percent(Estimate(0.84, 0.72, 0.91, 44))
    '84 % [72, 91]'
    """
    if share.value is None:
        return "not known"
    ends = "" if share.low is None or share.high is None else f" [{100 * share.low:.0f}, {100 * share.high:.0f}]"
    return f"{100 * share.value:.0f} %{ends}"


def decibels(found: Estimate) -> str:
    """Show a median SNR with its interval; an end that is None reaches to where half of the searches is lost."""
    if found.value is None:
        return "no median"
    if found.low is None and found.high is None:
        return f"{found.value:.1f} dB"
    low, high = ("lost" if end is None else f"{end:.0f}" for end in (found.low, found.high))
    return f"{found.value:.1f} dB [{low}, {high}]"


def said(value: object) -> str:
    """Give a name on one line, without the codes that steer a terminal."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in str(value))


def _needed(one: Searched) -> str:
    name = TURNED.get(one.probe, one.probe) + (
        f" at {one.most_queries} queries" if one.most_queries is not None else ""
    )
    won = "" if one.won == one.asked else f" ({one.won} of {one.asked})"
    if one.snr_db.value is None:
        return f"{name} wins {one.won} of {one.asked}"
    ends = one.probe == "white" and one.snr_db.low is not None and one.snr_db.high is not None
    if ends:
        return f"{name} {one.snr_db.value:.1f} dB SNR [{one.snr_db.low:.0f}, {one.snr_db.high:.0f}]{won}"
    return f"{name} {one.snr_db.value:.1f} dB{won}"


def _incomplete(audit: Audit, figures: Figures) -> str:
    error = next((row.error for row in audit.rows if row.state == "failed" and row.error), None)
    first = "" if error is None else f"; the first: {said(error)}"
    return f"Of {_jobs(figures.jobs)} {figures.failed} failed and {figures.left} {_are(figures.left)} left{first}."


def _robust(figures: Figures) -> list[str]:
    levels = [one for one in figures.robust if one.family == figures.robust[0].family]
    at = [one for one in levels if one.snr_db is not None]
    if not at:
        return []
    of = at[0].accuracy.of
    stand = ", ".join(f"{one.stands} at {one.snr_db:g} dB" for one in at)
    told = [
        f"Of {of} attacked clip{_s(of)} {at[0].right} {_are(at[0].right)} right as they come; so "
        f"many stay right: {stand} SNR."
    ]
    below = figures.robust_at(None)
    if below is not None:
        told.append(
            f"Changes below the masking threshold, which hardly anyone hears, leave {below.stands} of "
            f"{below.accuracy.of} right: {percent(below.accuracy)}."
        )
    return told


def _search(one: Searched) -> str:
    what = f"{one.probe} ({said(one.says)})" if one.says else one.probe
    parts = [f"{what}: won {one.won} of {one.asked}"]
    if one.limit:
        parts.append(f"limit {said(one.limit)}")
    if one.snr_db.value is not None:
        parts.append(f"median SNR needed {decibels(one.snr_db)}")
    elif one.asked:
        parts.append("half or more are lost, so there is no median SNR")
    if one.mos.value is not None:
        parts.append(f"MOS of the wins {one.mos.value:.2f}")
    if one.queries.value:
        parts.append(f"{one.queries.value:.0f} queries")
    if one.gradients.value:
        parts.append(f"{one.gradients.value:.0f} gradients")
    if one.already:
        parts.append(f"{one.already} met the goal as they came")
    return ", ".join(parts) + "."


def _by_need(figures: Figures) -> list[OfPair]:
    """Give the pairs of the strongest targeted search, the easiest first."""
    asked = [one for one in figures.searches if any(pair.tally.probe == one.probe for pair in figures.pairs)]
    if not asked:
        return []
    best = max(asked, key=lambda one: -1e9 if one.snr_db.value is None else one.snr_db.value)
    mine = [pair for pair in figures.pairs if pair.tally.probe == best.probe]
    return sorted(mine, key=lambda pair: 1e9 if pair.tally.snr_db is None else -pair.tally.snr_db)


def _hardest(figures: Figures) -> list[str]:
    pairs = _by_need(figures)
    if len(pairs) < 2:
        return []
    return [f"Easiest is {_pair(pairs[0])}; hardest is {_pair(pairs[-1])} (search {pairs[0].tally.probe})."]


def _pair(pair: OfPair) -> str:
    needs = "lost" if pair.tally.snr_db is None else f"{pair.tally.snr_db:.1f} dB"
    return f"{said(pair.source)} to {said(pair.target)}, {needs}"


def _harden(figures: Figures, card: str) -> str:
    words = ["noise", "adversarial"]
    for one in figures.survival.transforms:
        if one.share.value is not None and one.share.value <= DEADLY and one.transform.partition("=")[0] in FIRST:
            words.insert(0, one.transform)
            break
    return (
        f"Try what can be done: `subterfuge harden {shlex.quote(said(card))} DATA --with {','.join(words)} --out "
        "hardened`, DATA being its training set; it attacks every defence by one who knows it."
    )


def _listen(figures: Figures, folder: Path) -> list[str]:
    won = {one.probe: one for one in figures.searches if one.won}
    if not won:
        return []
    probe = "masked" if "masked" in won else max(won, key=lambda name: won[name].mos.value or 0.0)
    sounds = shlex.quote(said(folder / "sounds" / probe))
    return [f"Ask ears whether anyone hears it: `subterfuge listen {sounds}/*.outcome.json --out listening.html`."]


def _look(figures: Figures) -> list[str]:
    pairs = _by_need(figures)
    if len(pairs) < 2 or pairs[0].tally.snr_db is None:
        return []
    return [f"Look at {_pair(pairs[0])}: more, and more varied, clips of these two classes are where it gains most."]


def _bars(figures: Figures) -> str:
    bars: Mapping[str, float | None] = {
        "clean": figures.clean.accuracy.low,
        "robust": None if (below := figures.robust_at(None)) is None else below.accuracy.low,
    }
    told = [f"{name}={int(100 * value) / 100:g}" for name, value in bars.items() if value is not None]
    return ",".join(told) or "robust@20=0.5"


def _jobs(count: int) -> str:
    return f"{count} job{_s(count)}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
