// The page: charts of the summary, the list that filters and sorts, one item open at a time, light and dark.

const $ = (selector) => document.querySelector(selector);
const STATES = { won: "won", already: "as it came", lost: "lost", failed: "failed", left: "not done" };
const COLUMNS = [
  ["order", "result", null], ["name", "clip", (one) => one.name.toLowerCase()], ["goal", "goal", (one) => `${one.from} ${one.to}`],
  ["search", "search", (one) => one.search], ["snr", "SNR, dB", (one) => one.snr], ["nmr", "NMR, dB", (one) => one.nmr],
  ["mos", "MOS", (one) => one.mos], ["queries", "queries", (one) => one.queries],
];
const NUMBERS = { snr: 1, nmr: 1, mos: 2, queries: 0 };

function runPage() {
  const lines = JSON.parse(read("list"));
  const charts = JSON.parse(read("charts"));
  const say = (words) => ($("#status").textContent = words);
  const rows = [];
  let open = null; // { place, button, keys, close, panel }
  let [by, down] = ["order", false];

  function summary() {
    const kinds = colours();
    const names = [...new Set(charts.flatMap((chart) => chart.lines.map((line) => line.name)))];
    names.forEach(kinds);
    if (!charts.length) return;
    const clips = [...new Set(charts[0].lines.map((line) => line.clips))].sort((one, other) => one - other);
    const of = clips.length ? `of ${clips.length > 1 ? `${clips[0]} to ${clips.at(-1)}` : clips[0]} ${clips.at(-1) === 1 ? "clip" : "clips"} ` : "";
    $("#robustness").before(make("p", { class: "small" }, `Share ${of}turned against what is allowed, with 95 % intervals; clips that are wrong as they come count as turned.`), legend(names, kinds));
    $("#robustness").append(...charts.map((chart) => lineChart(chart, kinds)));
  }

  function rowOf(line) {
    const goal = line.to ? `${line.from} \u2192 ${line.to}` : line.from ? `${line.from} \u2192 other` : "";
    const cells = Object.entries(NUMBERS).map(([key, digits]) => {
      const label = COLUMNS.find(([name]) => name === key)[1].replace(", dB", "");
      const value = line[key] === null ? "" : key === "queries" ? line[key].toLocaleString("en") : figure(line[key], digits);
      return make("span", { class: "number", "data-label": label }, value);
    });
    const button = make("button", { type: "button", class: "row", "aria-expanded": "false" },
      make("span", { class: `state ${line.state}` }, STATES[line.state] ?? line.state), make("span", { class: "what" }, line.name),
      make("span", {}, goal), make("span", {}, line.search), cells);
    const row = { line, button, element: make("li", { id: `search-${line.place}` }, button) };
    row.words = [line.name, line.label, line.target, line.from, line.to, line.search].join(" ").toLowerCase();
    button.onclick = () => toggle(row);
    return row;
  }

  function shut() {
    if (!open) return;
    open.close();
    open.panel.remove();
    open.row.button.setAttribute("aria-expanded", "false");
    open = null;
  }

  function toggle(row) {
    const again = open?.row === row;
    shut();
    if (again) return;
    const made = openItem(row.line, JSON.parse(read(`item-${row.line.place}`)), say);
    row.element.append(made.panel);
    row.button.setAttribute("aria-expanded", "true");
    open = { row, ...made };
    history.replaceState(null, "", `#search-${row.line.place}`);
    const top = row.element.getBoundingClientRect().top;
    if (top < 50 || top > innerHeight / 2) row.element.scrollIntoView();
    made.panel.focus({ preventScroll: true });
  }

  function refresh() {
    const words = $("#words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [search, label, state] = ["search", "class", "state"].map((name) => $(`#by-${name}`).value);
    let count = 0;
    for (const row of rows) {
      const { line } = row;
      const fits = words.every((word) => row.words.includes(word)) && (!search || line.search === search) &&
        (!label || line.label === label) && (!state || line.state === state);
      row.element.hidden = !fits;
      count += Number(fits);
      if (!fits && open?.row === row) shut();
    }
    $("#count").textContent = (count === rows.length ? "" : `${count} of `) + (rows.length === 1 ? "1 search" : `${rows.length} searches`);
  }

  function sort(key) {
    down = key === by ? !down : key in NUMBERS && key !== "queries" && key !== "nmr";
    by = key;
    const value = COLUMNS.find(([name]) => name === key)[2] ?? ((one) => one.place);
    const order = [...rows].sort((one, other) => {
      const [a, b] = [value(one.line), value(other.line)];
      if (a === null || b === null) return Number(a === null) - Number(b === null) || one.line.place - other.line.place;
      return (down ? -1 : 1) * (a < b ? -1 : a > b ? 1 : 0) || one.line.place - other.line.place;
    });
    $("#items").append(...order.map((row) => row.element));
    for (const button of $("#sort").children) {
      const mine = button.value === by;
      button.setAttribute("aria-pressed", String(mine));
      button.textContent = button.title + (mine ? (down ? " \u2193" : " \u2191") : "");
    }
  }

  function list() {
    if (!lines.length) return;
    $("#clips").hidden = false;
    rows.push(...lines.map(rowOf));
    const options = { search: "search", class: "label", state: "state" };
    for (const [name, key] of Object.entries(options)) {
      const found = [...new Set(lines.map((line) => line[key]))].filter(Boolean);
      $(`#by-${name}`).append(...found.map((one) => make("option", { value: one }, name === "state" ? STATES[one] ?? one : one)));
      $(`#by-${name}`).onchange = refresh;
    }
    $("#words").oninput = refresh;
    $("#filter").onsubmit = (event) => event.preventDefault();
    $("#sort").append(...COLUMNS.map(([key, title]) =>
      make("button", { type: "button", value: key, title, class: key in NUMBERS && "number" }, title)));
    for (const button of $("#sort").children) button.onclick = () => sort(button.value);
    $("#items").append(...rows.map((row) => row.element));
    down = true;
    sort("order");
    refresh();
    const [wins, heard] = [lines.filter((line) => ["won", "already"].includes(line.state)).length, lines.filter((line) => line.sounds).length];
    if (heard < wins) {
      $("#filter").before(make("p", { class: "small" }, `Sounds of ${heard} of the ${wins === 1 ? "one win" : `${wins} wins`} are in this page; those of the others lie beside it.`));
    }
    const wanted = rows.find((row) => `#${row.element.id}` === location.hash);
    if (wanted) toggle(wanted);
  }

  function theme() {
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const told = () => {
      $("#theme").textContent = dark() ? "Light" : "Dark";
      document.dispatchEvent(new Event("theme"));
    };
    $("#theme").onclick = () => {
      root.dataset.theme = dark() ? "light" : "dark";
      told();
    };
    system.addEventListener("change", told);
    told();
  }

  document.addEventListener("keydown", (event) => {
    if (!open || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const key = event.key.toLowerCase();
    const { tagName, type } = event.target;
    if (["SELECT", "TEXTAREA"].includes(tagName) || (tagName === "INPUT" && type === "search")) return;
    if ((key === " " && ["BUTTON", "SUMMARY", "INPUT"].includes(tagName)) || (type === "range" && key.startsWith("arrow"))) return;
    if (key === "escape") {
      const { button } = open.row;
      shut();
      button.focus();
      return;
    }
    const keys = open.keys();
    if (!Object.hasOwn(keys, key)) return;
    event.preventDefault();
    if (!event.repeat || key.startsWith("arrow")) keys[key]();
  });

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.onclick = () => copy(document.getElementById(button.dataset.copy), button);
  }
  summary();
  list();
  theme();
  const parts = [...document.querySelectorAll("main > section")].filter((one) => !one.hidden);
  $(".top nav").append(...parts.map((one) => {
    const title = one.id === "summary" ? "Verdict" : one.querySelector("h2").textContent;
    return make("a", { href: `#${one.id}` }, title);
  }));
}

window.addEventListener("error", ({ message }) => {
  $("#broken").hidden = false;
  $("#broken").textContent = `A part of this page failed: ${message} A recent Chromium, Firefox or Safari should do better.`;
});
runPage();
