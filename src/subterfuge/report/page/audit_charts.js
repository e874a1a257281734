// Charts as SVG: lines with bands, and bars. Nothing of the data is ever read as markup.

const WIDE = 360; // of a chart that has no size yet
const HIGH = 208;

/** Make an element; attributes that are null or false are left out, and children may be text. */
function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value != null && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** A number for an axis or a caption, with a true minus sign. */
function figure(value, digits = null) {
  const size = Math.abs(value);
  const places = digits ?? (size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : size >= 0.01 ? 2 : 4);
  const text = digits === null && size >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(places);
  return text.replace("-", "\u2212");
}

/** Round numbers from one to another, some five of them. */
function ticks(low, high, most = 5) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const found = [];
  for (let i = first; i * step <= high + step * 1e-9; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** Powers of ten, and where they are few also 2 and 5 times them. */
function decades(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 1.001; power += 1) {
    for (const one of high / low > 200 ? [1] : [1, 2, 5]) {
      const value = Number((one * 10 ** power).toPrecision(6));
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found;
}

const ends = (values) => values.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);

/** A figure whose chart is as wide as its place, so that its words have one size everywhere. */
function lineChart(chart, kinds) {
  let image = chartImage(chart, kinds, WIDE);
  const words = [chart.share ? null : chart.y, chart.remark].filter(Boolean).join("; ");
  const figure = make("figure", {}, make("h3", {}, chart.title), image, make("figcaption", {}, words));
  const fit = (contentRect) => {
    const wide = Math.round(Math.min(760, Math.max(240, contentRect.width)));
    if (!contentRect.width || image.dataset.wide === String(wide)) return;
    const next = chartImage(chart, kinds, wide);
    image.replaceWith(next);
    image = next;
    image.dataset.wide = wide;
  };
  new ResizeObserver(([one]) => requestAnimationFrame(() => fit(one.contentRect))).observe(figure);
  return figure;
}

/** A chart: { title, x, y, log, falls, share, zero, remark, lines: [{ name, points: [[x, y, low, high]] }] }. */
function chartImage(chart, kinds, wide) {
  const box = { left: 46, right: 16, top: 10, bottom: 40 };
  const points = chart.lines.flatMap((line) => line.points);
  let [left, right] = ends(points.map(([x]) => x));
  let [low, high] = chart.share ? [0, 1] : ends(points.flatMap(([, ...y]) => y).concat(chart.zero ? [0] : []));
  if (left === right) [left, right] = chart.log ? [left / 2, right * 2] : [left - 1, right + 1];
  if (low === high) [low, high] = [low - 1, high + 1];
  if (!chart.share) [low, high] = [low - 0.05 * (high - low), high + 0.05 * (high - low)];
  const scale = chart.log ? Math.log : (value) => value;
  const across = (x) => {
    const part = (scale(x) - scale(left)) / (scale(right) - scale(left));
    return box.left + (chart.falls ? 1 - part : part) * (wide - box.left - box.right);
  };
  const up = (y) => HIGH - box.bottom - ((y - low) / (high - low)) * (HIGH - box.top - box.bottom);
  const at = (x, y) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`;
  const parts = [];
  for (const y of chart.share ? [0, 0.25, 0.5, 0.75, 1] : ticks(low, high, 4)) {
    parts.push(draw("path", { class: "axis", d: `M${box.left},${up(y).toFixed(1)}H${wide - box.right}` }));
    const words = chart.share ? `${figure(100 * y)} %` : figure(y);
    parts.push(draw("text", { x: box.left - 6, y: up(y) + 4, "text-anchor": "end" }, words));
  }
  for (const x of chart.log ? decades(left, right) : ticks(left, right, Math.max(4, Math.round(wide / 75)))) {
    const [a, b] = [HIGH - box.bottom, HIGH - box.bottom + 4];
    parts.push(draw("path", { class: "axis", d: `M${across(x).toFixed(1)},${a}V${b}` }));
    parts.push(draw("text", { x: across(x), y: b + 11, "text-anchor": "middle" }, figure(x)));
  }
  parts.push(draw("text", { x: (box.left + wide - box.right) / 2, y: HIGH - 4, "text-anchor": "middle" }, chart.x));
  if (chart.zero) parts.push(draw("path", { class: "zero", d: `M${box.left},${up(0).toFixed(1)}H${wide - box.right}` }));
  const stairs = (line, k) => line.points.map((point, i) => `${i ? "L" : "M"}${at(point[0], point[k])}`).join("");
  for (const line of chart.lines) {
    if (line.points[0].length < 4) continue;
    const back = [...line.points].reverse().map((point) => `L${at(point[0], point[2])}`).join("");
    parts.push(draw("path", { class: `band ${kinds(line.name)}`, d: `${stairs(line, 3)}${back}Z` }));
  }
  for (const line of chart.lines) {
    const path = draw("path", { class: `curve ${kinds(line.name)}`, d: stairs(line, 1) }, draw("title", {}, line.name));
    parts.push(path);
  }
  const last = chart.lines.map((line) => {
    const [x, y] = line.points.at(-1);
    return `${line.name} ends at ${chart.share ? `${figure(100 * y, 0)} %` : figure(y)} at ${figure(x)}`;
  });
  const words = `${chart.title}: ${chart.y} against ${chart.x}. ${last.join("; ")}.`;
  return draw("svg", { viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": words }, parts);
}

/** Which colour a line has: the same name has the same in every chart of a page. */
function colours() {
  const known = new Map();
  return (name) => {
    if (!known.has(name)) known.set(name, `k${known.size % 6}`);
    return known.get(name);
  };
}

function legend(names, kinds) {
  return make("ul", { class: "legend" }, names.map((name) =>
    make("li", {}, draw("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" },
      draw("path", { class: `curve ${kinds(name)}`, d: "M0,5H28" })), name)));
}

/** Two bars a class, before and after. */
function barChart(bars, from, to) {
  const row = 21;
  const left = 92;
  const all = [...bars.before, ...bars.after].map((value) => value ?? 0);
  const [least, most] = bars.kind === "probabilities" ? [0, 1] : ends([0, ...all]);
  const wide = (value) => (Math.abs(value ?? 0) / (most - least || 1)) * (WIDE - left - 96);
  const zero = left + (-least / (most - least || 1)) * (WIDE - left - 96);
  const parts = bars.labels.flatMap((label, i) => {
    const y = i * row;
    const sides = [["bar-before", bars.before[i], y + 2], ["bar-after", bars.after[i], y + 10]];
    const values = [bars.before[i], bars.after[i]].map((value) => (value === null ? "none" : figure(value, 3)));
    const said = values[1] === "none" ? values[0] : values.join(" \u2192 ");
    const name = label.length > 13 ? `${label.slice(0, 12)}\u2026` : label;
    return [
      draw("text", { x: left - 6, y: y + 14, "text-anchor": "end", class: label === from || label === to ? "mark" : "name" },
        name, draw("title", {}, `${label}: ${values[0]} before, ${values[1]} after`)),
      ...sides.filter(([, value]) => value !== null).map(([kind, value, at]) =>
        draw("rect", { class: kind, x: value < 0 ? zero - wide(value) : zero, y: at, width: wide(value), height: 7 })),
      draw("text", { x: WIDE, y: y + 14, "text-anchor": "end" }, said),
    ];
  });
  const told = bars.labels.map((label, i) => `${label} ${figure(bars.before[i] ?? 0, 2)} to ${figure(bars.after[i] ?? 0, 2)}`);
  const high = bars.labels.length * row + 2;
  const words = `What the victim says of each class, before to after: ${told.join(", ")}.`;
  return draw("svg", { class: "bars", viewBox: `0 0 ${WIDE} ${high}`, role: "img", "aria-label": words }, parts);
}
