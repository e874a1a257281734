"""The top of a page: the verdict, what to do next, and every table that sums an audit up; and what its charts draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from subterfuge.campaign.rows import Audit
from subterfuge.campaign.words import counted
from subterfuge.report._audit_parts import mapping, number, percent, real, sequence, table, text

AXES = {
    "snr_db": ("Allowed change", "SNR of the change, dB", "the further right, the louder it may be"),
    "nmr_db": ("Allowed audibility", "noise-to-mask ratio, dB", "below about −15 few people hear it"),
    "queries": ("Allowed effort", "queries and gradients a clip", "changes of 20 dB SNR or more"),
    "seconds": ("Allowed time", "seconds a clip", "changes of 20 dB SNR or more"),
}
"""Of the robustness curves: heading, axis, remark."""
SHADES = 8
"""Steps of the heat map."""
MOST_FACTS = 5
SHOWN_DB = 40.0
"""SNR of the robust accuracy that stands among the first figures."""
SEVERAL = 2
"""Pairs from which on there is a map to draw."""


def summary_of(
    audit: Audit, figures: Mapping[str, Any], scorecard: Mapping[str, Any]
) -> tuple[str, list[dict[str, Any]]]:
    """Give the summary as markup, and the robustness curves as plain JSON values.

    Whatever figures or scorecard lack is left out.
    """
    curves = curves_of(sequence(figures.get("curves")))
    parts = [
        _verdict(audit, figures, scorecard),
        _section("searches", "Searches", _searches(figures)),
        _section("curves", "How robust", '<div class="charts" id="robustness"></div>' if curves else ""),
        _section("classes", "Classes", _classes(figures)),
        _section("pairs", "From class to class", _pairs(figures, audit)),
        _section("survival", "Survival", _survival(figures)),
    ]
    return "\n".join(filter(None, parts)), curves


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2>{body}</section>' if body else ""


def _verdict(audit: Audit, figures: Mapping[str, Any], scorecard: Mapping[str, Any]) -> str:
    setting, victim = audit.setting, mapping(audit.setting.get("victim"))
    name = victim.get("name") or "a victim"
    told = [
        str(setting[key])
        if key == "data"
        else f"{setting.get('protocol') or 'protocol'} {setting.get('version', '')}, {setting[key]}"
        for key in ("level", "data")
        if setting.get(key)
    ]
    jobs = [row for row in audit.rows if row.job.probe != "clean"]
    told.append(f"{counted(len({row.job.name for row in jobs}), 'clip')} attacked in {counted(len(jobs), 'search')}")
    word = str(scorecard.get("verdict") or "")
    sentences = [str(one) for one in sequence(scorecard.get("sentences"))]
    found = [one for one in sentences[1:] if not one.startswith("Doubt (")]  # which have a list of their own
    first = "".join(f"<p>{text(one)}</p>" for one in [*sentences[:1], str(scorecard.get("says") or "")] if one)
    out = [
        '<section id="summary">',
        f'<p class="over">{text(" · ".join(told))}</p>',
        f"<h1>Audit of <b>{text(name)}</b></h1>",
        f'<div class="verdict"><p class="word">{text(word)}</p><div>{first}</div></div>' if first else "",
        _facts(figures),
        _list("What was found", found, "found"),
    ]
    if scorecard.get("line"):
        out.append(
            '<div class="line"><h2>For a release note</h2>'
            f'<p><code id="scorecard">{text(scorecard["line"])}</code> '
            '<button type="button" class="copy" data-copy="scorecard">Copy</button></p></div>'
        )
    out.append(_list("What to do next", sequence(scorecard.get("next")), "next"))
    doubts = [str(mapping(one).get("words") or one) for one in audit.doubts]
    out.append(_list("Doubts", doubts, "doubts"))
    out.append(_list("Notes", [*audit.notes, *sequence(figures.get("notes"))], "notes"))
    return "\n".join(filter(None, [*out, "</section>"]))


def _list(title: str, items: Sequence[object], kind: str) -> str:
    lines = "".join(f"<li>{_commands(str(item))}</li>" for item in items)
    return f'<div class="{kind}"><h2>{title}</h2><ul>{lines}</ul></div>' if lines else ""


def _commands(words: str) -> str:
    """Write words as markup, what stands between backticks as code."""
    parts = words.split("`")
    if len(parts) % 2 == 0:  # one is left alone
        return text(words)
    return "".join(f"<code>{text(part)}</code>" if place % 2 else text(part) for place, part in enumerate(parts))


def _facts(figures: Mapping[str, Any]) -> str:
    """Draw the few figures that a reader looks for first."""
    told: list[tuple[str, str, str]] = []
    clean = mapping(figures.get("clean"))
    accuracy = mapping(clean.get("accuracy"))
    if real(accuracy.get("value")) is not None:
        told.append(
            (
                "clean accuracy",
                percent(accuracy["value"]),
                f"{clean.get('right')} of {counted(int(clean.get('of') or 0), 'clip')}",
            )
        )
    robust = [mapping(one) for one in sequence(figures.get("robust"))]
    for one in robust:
        value = mapping(one.get("accuracy"))
        if one is robust[0] or one.get("family") == robust[0].get("family"):
            snr = real(one.get("snr_db"))
            if snr in (None, SHOWN_DB) and real(value.get("value")) is not None:
                below = "below the masking threshold" if snr is None else f"at {number(snr, 0)} dB SNR"
                told.append((f"stays right {below}", percent(value["value"]), _between(value, percent)))
    for one in map(mapping, sequence(figures.get("searches"))):
        needed = mapping(one.get("snr_db"))
        if real(needed.get("value")) is not None and not one.get("limit") and len(told) < MOST_FACTS:
            told.append(
                (f"median SNR needed, {one.get('probe')}", f"{number(needed['value'])} dB", _between(needed, number))
            )
    survived = mapping(mapping(figures.get("survival") or figures.get("survived")).get("everything"))
    if real(mapping(survived.get("share")).get("value")) is not None:
        share, telling = percent(mapping(survived["share"])["value"]), int(survived.get("telling") or 0)
        told.append(("of the wins survive", share, f"{survived.get('survived')} of {counted(telling, 'trial')}"))
    cells = "".join(
        f"<div><dt>{text(a)}</dt><dd><b>{text(b)}</b> <span>{text(c)}</span></dd></div>" for a, b, c in told
    )
    return f'<dl class="facts">{cells}</dl>' if cells else ""


def _between(estimate: Mapping[str, Any], say: Any) -> str:
    low, high = real(estimate.get("low")), real(estimate.get("high"))
    return "" if low is None and high is None else f"{say(low)} to {say(high)}"


def _middle(value: object, digits: int = 1) -> str:
    """Write an estimate as markup: its value, and below it its interval."""
    if not isinstance(value, Mapping):
        return number(value, digits)
    between = _between(value, lambda end: number(end, digits))
    return number(value.get("value"), digits) + (f"<small>{text(between)}</small>" if between else "")


def _searches(figures: Mapping[str, Any]) -> str:
    rows = []
    for one in map(mapping, sequence(figures.get("searches"))):
        noise = mapping(one.get("noise"))
        told = [str(one.get(key)) for key in ("attack", "limit") if one.get(key) and one[key] != "none"]
        spent = [real(mapping(one.get(kind)).get("value")) for kind in ("queries", "gradients")]
        undone = [f"{one[kind]} {kind}" for kind in ("already", "failed", "left") if one.get(kind)]
        rows.append(
            [
                f"<b>{text(one.get('probe'))}</b><small>{text(', '.join([str(one.get('says') or ''), *told]))}</small>",
                f"{number(one.get('asked'), 0)}<small>{text(', '.join(undone))}</small>",
                f"{number(one.get('won'), 0)}<small>{_share(one.get('won'), one.get('asked'))}</small>",
                _middle(one.get("snr_db")),
                _middle(one.get("nmr_db")),
                _middle(one.get("mos"), 2),
                " + ".join(number(value, 0) for value in spent),
                _middle(one.get("seconds")),
                f"{text(noise.get('hits'))} of {text(noise.get('draws'))}<small>{text(noise.get('as_good'))} of "
                f"{counted(int(noise.get('wins') or 0), 'win')} no better</small>"
                if noise.get("draws")
                else "–",
            ]
        )
    heads = ["search", "asked", "won", "SNR needed, dB", "noise to mask, dB", "MOS", "queries + gradients", "seconds"]
    if not rows:
        return ""
    return table("Each search: medians, with 95 % intervals below them", [*heads, "noise does it too"], rows) + (
        '<p class="small">SNR needed: how far the change lies below the sound; a lost search counts as worse than any, '
        "and a dash is a median that half of the searches or more never reached. Noise to mask: −15 dB or less is hard "
        "to hear. MOS: zimtohrli, 5 is no difference heard. Noise: draws as loud, and of the same spectrum, that met "
        "the goal by themselves.</p>"
    )


def _share(part: object, of: object) -> str:
    first, second = real(part), real(of)
    return percent(first / second) if first is not None and second else ""


def _classes(figures: Mapping[str, Any]) -> str:
    classes = [mapping(one) for one in sequence(figures.get("classes"))]
    tallies = [{str(t.get("probe")): t for t in map(mapping, sequence(one.get("searches")))} for one in classes]
    probes = list(dict.fromkeys(probe for one in tallies for probe in one))
    rows = []
    for one, told in zip(classes, tallies, strict=True):
        cells = []
        for probe in probes:
            tally = mapping(told.get(probe))
            won = f"{tally.get('won')} of {tally.get('asked')}" if tally.get("asked") else ""
            cells.append(f"{number(tally.get('snr_db'))}<small>{text(won)}</small>")
        clean = f"{one.get('right')} of {one.get('of')}" if one.get("of") else "–"
        rows.append([text(one.get("label")), text(clean), *cells])
    heads = ["class", "right as they come", *(f"{probe}, dB" for probe in probes)]
    caption = "Clips of each class: median SNR needed, and searches won"
    return table(caption, heads, rows, classes="dense") if rows else ""


def _pairs(figures: Mapping[str, Any], audit: Audit) -> str:
    found: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for one in map(mapping, sequence(figures.get("pairs"))):
        tally = mapping(one.get("tally"))
        found.setdefault(str(tally.get("probe")), {})[str(one.get("source")), str(one.get("target"))] = tally
    order = [str(label) for label in sequence(mapping(audit.setting.get("victim")).get("labels"))]
    maps: list[str] = []
    for probe, cells in sorted(found.items(), key=lambda one: -len(one[1])):
        if len(cells) >= SEVERAL:
            opened = " open" if not maps else ""
            maps.append(f"<details{opened}><summary>{text(probe)}</summary>{_map(probe, cells, order)}</details>")
    if not maps:
        return ""
    says = "Median SNR needed in dB, source in rows, target in columns. Darker: a quieter change is enough."
    return f'<p class="small">{says} A dash: not reached in half of the searches. Empty: not asked.</p>{"".join(maps)}'


def _map(probe: str, cells: Mapping[tuple[str, str], Mapping[str, Any]], order: Sequence[str]) -> str:
    labels = [*order, *sorted({label for pair in cells for label in pair} - set(order))]
    sources, targets = ([one for one in labels if any(pair[k] == one for pair in cells)] for k in (0, 1))
    known = [value for tally in cells.values() if (value := real(tally.get("snr_db"))) is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    rows = []
    for source in sources:
        row = [text(source)]
        for target in targets:
            tally = cells.get((source, target))
            value = real(mapping(tally).get("snr_db"))
            won = "" if tally is None else f"{source} to {target}: {tally.get('won')} of {tally.get('asked')} won"
            shade = 0 if value is None else 1 + round((SHADES - 1) * (value - low) / (high - low or 1.0))
            shown = "" if tally is None else number(value, 0)
            row.append(f'<span class="h{shade}" title="{text(won)}">{shown}</span>')
        rows.append(row)
    return table(f"{probe}: median SNR needed, dB", ["from \\ to", *targets], rows, classes="map")


def _survival(figures: Mapping[str, Any]) -> str:
    survival = mapping(figures.get("survival") or figures.get("survived"))
    rows = []
    for one in map(mapping, sequence(survival.get("transforms"))):
        share = mapping(one.get("share"))
        value = real(share.get("value"))
        bar = "" if value is None else f'<meter min="0" max="1" value="{value:.3f}">{percent(value)}</meter>'
        told = percent(value) + (f"<small>{text(_between(share, percent))}</small>" if value is not None else "")
        counts = f"{text(one.get('survived'))} of {text(one.get('telling'))}"
        rows.append([text(one.get("transform")), bar, told, counts, text(one.get("not_tried") or "")])
    if not rows:
        return ""
    heads = ["transform", "", "survive", "trials", "not tried"]
    return table("Wins that meet their goal still, after each transform", heads, rows, classes="fit dense") + (
        '<p class="small">The deadliest first. Trials that tell nothing, since the transform alone turns the clean '
        "clip, are left out.</p>"
    )


def curves_of(curves: Sequence[Any]) -> list[dict[str, Any]]:
    """Give the robustness curves as charts, one an axis: a line and a band of each family of searches."""
    charts = []
    for axis, (title, unit, remark) in AXES.items():
        lines = []
        for one in map(mapping, curves):
            if one.get("axis") != axis:
                continue
            columns = [sequence(one.get(key)) for key in ("budget", "share", "low", "high")]
            points = [
                [x, y, low if low is not None else y, high if high is not None else y]
                for x, y, low, high in zip(*columns, strict=False)
                if real(x) is not None and real(y) is not None
            ]
            lines.append({"name": str(one.get("family")), "points": points, "clips": one.get("clips")})
        if lines:
            kind = {"log": axis in ("queries", "seconds"), "falls": axis == "snr_db", "share": True}
            charts.append({"title": title, "x": unit, "y": "clips turned", "remark": remark, "lines": lines, **kind})
    return charts
