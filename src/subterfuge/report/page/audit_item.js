// What opens below a line of the list: one search of one clip, to hear and to see.

const read = (name) => document.getElementById(name)?.textContent ?? "";
const NAMES = ["original", "changed", "difference"];

function simpleTable(caption, heads, rows, kind = "dense") {
  const cells = (row) => row.map((cell, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, cell));
  return make("div", { class: "scroller", role: "region", tabindex: "0", "aria-label": caption },
    make("table", { class: kind },
      make("caption", {}, caption),
      make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, rows.map((row) => make("tr", {}, cells(row))))));
}

function copyButton(source) {
  const button = make("button", { type: "button", class: "copy" }, "Copy");
  button.onclick = () => copy(source, button);
  return button;
}

/** Copy an element's text; where the clipboard is closed, select it, so that a key does. */
async function copy(source, button) {
  const select = () => getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    select();
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

function commandBox(words) {
  const code = make("code", {}, words.split(" ").flatMap((word, i) => [i ? " " : "", make("span", { class: "word" }, word)]));
  return make("div", { class: "command" }, code, copyButton(code));
}

/** A paragraph, what stands between backticks as code. */
function coded(words) {
  return make("p", {}, words.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part)));
}

/** Build the panel of an item; gives its element, what its keys do, and how it is closed. */
function openItem(line, item, say) {
  const panel = make("div", { class: "panel", tabindex: "-1", role: "region", "aria-label": `${line.name}, ${line.search}` });
  const closing = [];
  let keys = {};
  panel.append(...item.says.map((words, i) => make("p", { class: i ? null : "lead" }, words)));
  panel.append(...item.notes.map((words) => make("p", { class: "small" }, `Note: ${words}.`)));
  if (item.picture) {
    const seen = pictures(item);
    if (item.sounds) {
      const made = playerOf(item, say);
      keys = made.keys;
      closing.push(made.close);
      panel.append(made.element);
    }
    panel.append(make("h3", {}, "Spectrograms"), ...seen.elements);
    closing.push(seen.close);
  }
  const sides = make("div", { class: "sides" });
  if (item.bars) sides.append(answers(item.bars, line));
  if (item.metrics.length) {
    const heads = ["measure", "value", "unit", "good"];
    sides.append(make("div", {}, make("h3", {}, "Measures"), simpleTable("Of the change, from the written file", heads, item.metrics, "dense value")));
  }
  if (item.spent.length) {
    const spent = simpleTable("What the search took", ["", "value", "unit"], item.spent, "dense value fit");
    (sides.firstElementChild ?? sides).append(spent);
  }
  panel.append(sides);
  if (item.charts.length) {
    panel.append(make("h3", {}, "How the search went"), make("div", { class: "charts" }, item.charts.map((chart) => {
      const kinds = colours();
      const drawn = lineChart(chart, kinds);
      if (chart.lines.length > 1) drawn.append(legend(chart.lines.map((one) => one.name), kinds));
      return drawn;
    })));
  }
  if (item.survival) {
    const heads = ["transform", "came through", "answer", "probability", "the clean clip's answer"];
    panel.append(make("h3", {}, "What it survives"), make("p", {}, item.survival.says),
      simpleTable("Each transform, done to the changed file", heads, item.survival.rows));
  }
  if (item.warnings.length) {
    panel.append(make("h3", {}, "Warnings"), make("ul", {}, item.warnings.map((words) => make("li", {}, words))));
  }
  if (item.command) panel.append(make("h3", {}, "Repeat it"), commandBox(item.command));
  else if (item.otherwise) panel.append(make("h3", {}, "Repeat it"), coded(item.otherwise));
  if (item.links?.length) {
    panel.append(make("h3", {}, "Files and listening test"));
    panel.append(make("p", {}, item.links.flatMap(([title, address], i) => [i ? ", " : "", make("a", { href: address }, title)]),
      " (beside this page, as they were judged)"));
    if (item.listen) panel.append(commandBox(item.listen));
    if (item.listening) panel.append(make("p", {}, make("a", { href: item.listening }, "Can people hear it? The listening test")));
  }
  return { panel, keys: () => keys, close: () => closing.forEach((one) => one()) };
}

function answers(bars, line) {
  const what = bars.kind === "probabilities" ? "Probabilities" : "Scores";
  const left = bars.left_out === null ? "Of the class that the goal is about; the record holds no others."
    : bars.left_out ? `${bars.left_out} classes with less are left out.` : "";
  return make("figure", {},
    make("h3", {}, `${what} before and after`), barChart(bars, line.from, line.to),
    make("figcaption", {}, make("span", { class: "swatch" }), "before  ", make("span", { class: "swatch after" }), "after. ", left));
}

/** Draw four spectrograms, once they have a size, and again when that or the theme changes. */
function pictures(item) {
  const { rows, columns, rate } = item.picture;
  const share = 100 * item.picture.share_above;
  const part = share === 0 ? "In no cell" : `In ${figure(share, share < 1 ? 2 : 1)} % of the cells`;
  const words = [
    ["before", "Original"],
    ["after", "Changed"],
    ["change", "Difference"],
    ["threshold", "What the original masks"],
  ];
  const canvases = words.map(([, title]) => make("canvas", { role: "img", "aria-label": `Spectrogram: ${title.toLowerCase()}` }));
  const captions = words.map(() => make("figcaption"));
  const grid = make("div", { class: "pictures" }, words.map(([, title], i) => make("figure", {}, make("h4", {}, title), canvases[i], captions[i])));
  const about = make("p", { class: "small" },
    `${part} of time and frequency the difference lies above what the original masks there (red, the stronger the more of them). ` +
    "Levels are those of a cell against a sine of full scale; each picture shows 80 dB. Masking: model 1 of ISO/IEC 11172-3.");
  let images = null;
  const watch = new ResizeObserver(() => requestAnimationFrame(repaint));
  let closed = false;
  const paint = () => images.forEach(({ image, top }, i) =>
    spectrogram(canvases[i], image, { rate, top, start: item.start, seconds: item.seconds }));
  const repaint = () => images && !closed && paint();
  canvases.forEach((canvas) => watch.observe(canvas));
  document.addEventListener("theme", repaint);
  (async () => {
    const kept = { before: read(item.picture.before), threshold: read(item.picture.threshold) };
    const cells = {};
    for (const kind of ["before", "after", "change", "threshold", "above"]) {
      cells[kind] = await unpack(kept[kind] ?? item.picture[kind], rows, columns);
    }
    const sound = Math.max(strongest(cells.before), strongest(cells.after));
    const quiet = strongest(cells.change);
    const tops = { before: sound, after: sound, change: quiet, threshold: sound };
    images = words.map(([kind]) => ({
      top: tops[kind],
      image: coloured(cells[kind], rows, columns, tops[kind], kind === "change" ? cells.above : null),
    }));
    const lower = sound - quiet;
    captions[2].textContent = `Its strongest cell is ${figure(Math.abs(lower), 0)} dB ${lower >= 0 ? "below" : "above"} the sound's; the colours are shifted by as much.`;
    captions[3].textContent = "The masking threshold, in the colours of original and changed.";
    repaint();
  })();
  return {
    elements: [grid, about],
    close: () => {
      closed = true;
      watch.disconnect();
      document.removeEventListener("theme", repaint);
    },
  };
}

/** The player of an item: three sounds in step, of which one is heard. */
function playerOf(item, say) {
  const canvas = make("canvas", { role: "img", "aria-label": "Waveforms of original, changed and difference" });
  const head = make("div", { class: "head" });
  const lanesBox = make("div", { class: "lanes" }, canvas, head);
  const play = make("button", { type: "button", class: "play", "aria-keyshortcuts": "Space" }, "Play");
  const buttons = NAMES.map((name, i) => make("button", { type: "button", class: "sound", "aria-pressed": String(i === 0), "aria-keyshortcuts": "ABD"[i] }, make("b", {}, "ABD"[i]), make("span", {}, name)));
  const loud = make("input", { type: "checkbox", checked: "" });
  const loudWords = make("span", {}, "amplified");
  const volume = make("input", { type: "range", min: "0", max: "100", value: "80", "aria-label": "Volume" });
  const clock = make("output", { "aria-live": "off" });
  const warning = make("p", { class: "loud", role: "note", hidden: "" });
  const element = make("div", { class: "player", role: "group", "aria-label": "Player" }, lanesBox,
    make("div", { class: "controls" }, play, buttons, make("label", {}, loud, loudWords), make("label", {}, "Volume", volume), clock), warning);
  let player = null;
  let sounds = null;
  let lanes = null;
  let chosen = 0;
  let closed = false;

  const index = () => (chosen === 2 && loud.checked ? 3 : chosen);
  const paint = () => lanes && !closed && waveforms(canvas, lanes, chosen);
  const watch = new ResizeObserver(() => requestAnimationFrame(paint));
  watch.observe(canvas);
  document.addEventListener("theme", paint);

  const ready = (async () => {
    const [a, b] = await Promise.all(item.sounds.map((name, i) => decodeFlac(read(`s${name}`), item.rate, item.bits[i])));
    const difference = differenceOf(a, b);
    sounds = [a, b, difference.change, difference.amplified];
    const columns = 900;
    const drawn = [a, b, difference.change].map((sound) => outlineOf(sound, columns));
    const full = Math.max(peakOf(a), peakOf(b));
    const shown = difference.peak > 0 ? `difference, drawn ${figure(20 * Math.log10(full / difference.peak), 0)} dB larger` : "difference: none";
    lanes = [
      { name: "original", low: drawn[0][0], high: drawn[0][1], full },
      { name: "changed", low: drawn[1][0], high: drawn[1][1], full },
      { name: shown, low: drawn[2][0], high: drawn[2][1], full: difference.peak },
    ];
    loudWords.textContent = `D amplified by ${figure(difference.db, 1)} dB`;
    if (difference.peak === 0) loudWords.textContent = "the two are the same";
    if (difference.louder > 0) {
      warning.textContent = `D, amplified to a peak of \u22123 dB of full scale, is ${figure(difference.louder, 0)} dB louder than the original: turn the volume down first.`;
    }
    paint();
  })();
  ready.catch((reason) => {
    warning.hidden = false;
    warning.textContent = `This browser cannot decode the sounds (${reason.message || reason}); the files are beside the page.`;
  });

  function view() {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === chosen)));
    play.textContent = player?.playing ? "Pause" : "Play";
    warning.hidden = !(chosen === 2 && loud.checked && warning.textContent);
    paint();
  }

  function follow() {
    if (closed) return;
    if (player) {
      const length = player.length();
      head.style.left = `${(100 * player.now()) / length}%`;
      clock.textContent = `${figure(item.start + player.now(), 2)} of ${figure(item.whole, 2)} s`;
    }
    requestAnimationFrame(follow);
  }
  follow();

  async function opened() {
    await ready;
    if (!player) {
      player = makePlayer(item.rate);
      player.load(sounds, false);
      player.volume(volume.value / 100);
      player.select(index());
    }
    return player;
  }

  async function toggle() {
    await opened();
    if (player.playing) player.stop();
    else player.start();
    view();
  }

  function choose(i) {
    chosen = i;
    player?.select(index());
    say(`${NAMES[i]}${index() === 3 ? ", amplified" : ""}`);
    view();
  }

  async function seek(time) {
    await opened();
    player.seek(Math.min(Math.max(0, time), player.length() - 0.01));
  }

  for (const button of [play, ...buttons]) button.addEventListener("mousedown", (event) => event.preventDefault()); // keys stay the page's
  play.onclick = toggle;
  buttons.forEach((button, i) => (button.onclick = () => choose(i)));
  loud.onchange = () => choose(2);
  volume.oninput = () => player?.volume(volume.value / 100);
  lanesBox.onpointerdown = (event) => {
    const box = lanesBox.getBoundingClientRect();
    seek((item.seconds * (event.clientX - box.left)) / box.width);
  };
  return {
    element,
    keys: {
      " ": toggle, a: () => choose(0), b: () => choose(1), d: () => choose(2),
      arrowleft: () => player && seek(player.now() - 0.5), arrowright: () => player && seek(player.now() + 0.5),
    },
    close: () => {
      closed = true;
      watch.disconnect();
      document.removeEventListener("theme", paint);
      player?.stop();
      player?.close();
    },
  };
}
