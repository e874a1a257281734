"""A scorecard's words: one line for a release note, and what was found."""

from __future__ import annotations

from collections.abc import Mapping

from subterfuge.campaign._figures_asked import altered
from subterfuge.campaign.figures import Figures, OfPair, Searched
from subterfuge.campaign.rows import Audit, Row
from subterfuge.campaign.words import are, counted, decibels, percent, said
from subterfuge.driver.service import words_of

TURNED = {"white": "white box", "untargeted": "untargeted"}
FEW = 5
"""Clips under which no verdict that rests on them holds for long: the next clip may turn it."""
MOST_NAMED = 10
"""Sounds that could not be read, and are named one by one."""


def attacked(audit: Audit) -> int:
    """Count the clips that some search was done on."""
    return len({row.job.sha256 for row in audit.rows if row.outcome is not None})


def line_of(audit: Audit, figures: Figures) -> str:
    """Give the line that a release note can carry."""
    setting, clean = audit.setting, figures.clean
    parts = [f"clean {percent(clean.accuracy)} of {clean.of}" if clean.of else "clean accuracy not known"]
    below = figures.robust_at(None)
    if below is not None and below.accuracy.value is not None:
        parts.append(f"robust below the masking threshold {100 * below.accuracy.value:.0f} %")
    shown = [one for one in figures.searches if not one.limit and one.asked]
    if any(one.probe == "white" for one in shown):
        shown = [one for one in shown if one.probe != "untargeted"]
    parts += [_needed(one) for one in shown]
    survival = figures.survival
    if survival.everything.share.value is not None:
        tried = sum(one.tried > 0 for one in survival.transforms)
        parts.append(f"wins survive {100 * survival.everything.share.value:.0f} % of {counted(tried, 'transform')}")
    if not audit.complete:
        parts.append(f"incomplete: {figures.done} of {counted(figures.jobs, 'job')} done")
    protocol = " ".join(str(setting.get(key, "?")) for key in ("protocol", "version", "level"))
    name = said(setting.get("victim", {}).get("name", "victim"))
    other = said(" ".join(f"{option} {value}" for option, value in altered(audit).items()))
    how = f"{protocol}, seed {setting.get('seed', '?')}" + (f"; altered: {other}" if other else "")
    return f"{name}: {'; '.join(parts)} ({how})"


def sentences_of(audit: Audit, figures: Figures) -> list[str]:
    """Say what was found, with numbers."""
    told: list[str] = []
    if not audit.complete:
        told.append(_incomplete(audit, figures))
    told += _unread([row for row in audit.rows if row.unreadable])
    clean = figures.clean
    if clean.of:
        unknown = f"; of {clean.unknown} more the label is not known" if clean.unknown else ""
        told.append(
            f"It is right about {clean.right} of {counted(clean.of, 'unchanged clip')}: "
            f"{percent(clean.accuracy)}{unknown}."
        )
    elif clean.unknown:
        told.append(
            f"No label is known of the {counted(clean.unknown, 'clip')} that it answered: there is no clean accuracy."
        )
    told += _robust(figures)
    told += [_search(one) for one in figures.searches if one.asked]
    hits, draws = (sum(getattr(one.noise, name) for one in figures.searches) for name in ("hits", "draws"))
    if draws:
        told.append(
            f"Noise as loud as the wins and of the same spectrum does what they do in {100 * hits / draws:.0f} % of "
            f"{counted(draws, 'draw')}."
        )
    told += _hardest(figures)
    survival = figures.survival.everything
    if survival.share.value is not None:
        deadly = next(one for one in figures.survival.transforms if one.share.value is not None)
        told.append(
            f"The wins come through {percent(survival.share)} of {counted(survival.telling, 'trial')} that "
            f"{'tells' if survival.telling == 1 else 'tell'}; deadliest is {said(deadly.transform)}: "
            f"{deadly.survived} of {deadly.telling} come through."
        )
    told += _paid(audit)
    told += [f"Doubt ({said(one.get('sign', '?'))}): {said(one.get('words', ''))}." for one in audit.doubts]
    return told


def _paid(audit: Audit) -> list[str]:
    """Say what a victim cost that is paid by the query, with all that was asked: clips, searches, judge, survival."""
    bills = [row.result["service"] for row in audit.rows if isinstance(row.result.get("service"), Mapping)]
    if not bills:
        return []
    whole = {key: sum(float(one.get(key) or 0.0) for one in bills) for key in ("queries", "total")}
    paid = words_of(whole | {"currency": said(bills[0].get("currency") or "")})
    return [f"It was paid {paid} in the jobs that ended well; what failed tells its own."]


def _needed(one: Searched) -> str:
    name = TURNED.get(one.probe, one.probe) + (
        f" at {_queries(one.most_queries)}" if one.most_queries is not None else ""
    )
    won = "" if one.won == one.asked else f" ({one.won} of {one.asked})"
    if one.snr_db.value is None:
        return f"{name} wins {one.won} of {one.asked}"
    ends = one.probe == "white" and one.snr_db.low is not None and one.snr_db.high is not None
    if ends:
        return f"{name} {one.snr_db.value:.1f} dB SNR [{one.snr_db.low:.0f}, {one.snr_db.high:.0f}]{won}"
    return f"{name} {one.snr_db.value:.1f} dB{won}"


def _incomplete(audit: Audit, figures: Figures) -> str:
    failed = [row for row in audit.rows if row.state == "failed" and not row.unreadable]
    error = next((row.error for row in failed if row.error), None)
    first = "" if error is None else f"; the first: {said(error)}"
    return f"Of {counted(figures.jobs, 'job')} {len(failed)} failed and {figures.left} {are(figures.left)} left{first}."


def _unread(rows: list[Row]) -> list[str]:
    """Say which sounds could not be read, and why."""
    if not rows:
        return []
    told = [f"{counted(len(rows), 'sound')} could not be read, and count{'s' if len(rows) == 1 else ''} nowhere."]
    told += [
        f"Not read: {said(row.job.name)}: {said(str(row.error).removeprefix('ClipError: ')).rstrip('.')}."
        for row in rows[:MOST_NAMED]
    ]
    if len(rows) > MOST_NAMED:
        told.append(f"Nor could {len(rows) - MOST_NAMED} more be read; the table, audit.csv, has every one.")
    return told


def _robust(figures: Figures) -> list[str]:
    levels = [one for one in figures.robust if one.family == figures.robust[0].family]
    at = [one for one in levels if one.snr_db is not None]
    if not at:
        return []
    of = at[0].accuracy.of
    if any(one.left_out for one in at):
        stand = ", ".join(f"{one.stands} of {one.accuracy.of} at {one.snr_db:g} dB" for one in at)
        told = [f"Of the attacked clips of which that is known, so many stay right: {stand} SNR."]
    else:
        stand = ", ".join(f"{one.stands} at {one.snr_db:g} dB" for one in at)
        told = [
            f"Of {of} attacked clip{'' if of == 1 else 's'} {at[0].right} {are(at[0].right)} right as they come; so "
            f"many stay right: {stand} SNR."
        ]
    below = figures.robust_at(None)
    if below is not None and below.accuracy.of:
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
        parts.append(_queries(round(one.queries.value)))
    if one.gradients.value:
        parts.append(counted(round(one.gradients.value), "gradient"))
    if one.already:
        parts.append(f"{one.already} met the goal as {'it' if one.already == 1 else 'they'} came")
    return ", ".join(parts) + "."


def _hardest(figures: Figures) -> list[str]:
    pairs = by_need(figures)
    if len(pairs) < 2:
        return []
    return [f"Easiest is {pair_words(pairs[0])}; hardest is {pair_words(pairs[-1])} (search {pairs[0].tally.probe})."]


def _queries(count: int) -> str:
    return "1 query" if count == 1 else f"{count} queries"


def by_need(figures: Figures) -> list[OfPair]:
    """Give the pairs of the strongest targeted search, the easiest first."""
    asked = [one for one in figures.searches if any(pair.tally.probe == one.probe for pair in figures.pairs)]
    if not asked:
        return []
    best = max(asked, key=lambda one: -1e9 if one.snr_db.value is None else one.snr_db.value)
    mine = [pair for pair in figures.pairs if pair.tally.probe == best.probe]
    return sorted(mine, key=lambda pair: 1e9 if pair.tally.snr_db is None else -pair.tally.snr_db)


def pair_words(pair: OfPair) -> str:
    needs = "lost" if pair.tally.snr_db is None else f"{pair.tally.snr_db:.1f} dB"
    return f"{said(pair.source)} to {said(pair.target)}, {needs}"
