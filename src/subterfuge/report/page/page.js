// The test: what is shown when, what the keys do, and what is recorded.

const $ = (selector) => document.querySelector(selector);
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const figure = (p) => (p < 0.001 ? p.toExponential(1) : p.toPrecision(2));

function chance(bytes) {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

/** A random order of 0 .. count - 1 (Fisher and Yates); a draw that would favour some place is drawn again. */
function shuffled(count) {
  const order = [...Array(count).keys()];
  for (let i = count - 1; i > 0; i -= 1) {
    let draw;
    do [draw] = crypto.getRandomValues(new Uint32Array(1));
    while (draw >= 2 ** 32 - (2 ** 32 % (i + 1)));
    const k = draw % (i + 1);
    [order[i], order[k]] = [order[k], order[i]];
  }
  return order;
}

/** What was taken away or added, as much louder as fits under the sound's own peak, at most 40 dB. */
function differenceOf(a, b) {
  const change = a.map((channel, c) => channel.map((value, i) => b[c][i] - value));
  const peak = (sound) => Math.max(...sound.map((channel) => channel.reduce((most, x) => Math.max(most, Math.abs(x)), 0)));
  const gain = Math.max(1, Math.min(100, peak(a) / peak(change)));
  return { sound: change.map((channel) => channel.map((value) => gain * value)), db: 20 * Math.log10(gain) };
}

function runTest() {
  const test = JSON.parse($("#test").textContent);
  const { trials, needed, alpha, guesses_pass: guessesPass, finds, p_heard: pHeard } = test.settings;
  const records = makeRecords(test);
  const buttons = [...document.querySelectorAll(".sound")];
  let player = null;
  let run = null;
  let pair = null; // what is listened to: its number, sounds, peaks
  let trial = null; // of it: what X is, what was done; null while the two are made known
  let unsaved = false;

  const per = (run) => test.pairs.map((_, i) => run.trials.filter((one) => one.pair === i).length);
  const say = (text) => ($("#status").textContent = text);

  function show(id) {
    for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
    $(`#${id} h1`).focus();
    window.scrollTo(0, 0);
  }

  function facts(rows) {
    $("#facts").replaceChildren(
      ...rows.map(([term, words]) => {
        const row = document.createElement("div");
        row.append(document.createElement("dt"), document.createElement("dd"));
        row.firstChild.textContent = term;
        row.lastChild.textContent = words;
        return row;
      }),
    );
  }

  function intro() {
    const pairs = test.pairs.length;
    const once = Math.round(1 / guessesPass);
    const minutes = Math.max(1, Math.round((pairs * (trials * 20 + 60)) / 60));
    facts([
      ["You will hear", `${pairs === 1 ? "one pair" : `${pairs} pairs`}, ${trials} trials${pairs === 1 ? "" : " each"}; about ${minutes} minutes`],
      ["Heard means", `${needed} or more of ${trials} right${pairs === 1 ? "" : ", for each pair"} (p at most ${alpha})`],
      ["Who only guesses", `gets there one time in ${once}`],
      ["Who hears it", `and is right in ${percent(pHeard)} of the trials gets there with probability ${finds.toFixed(2)}`],
    ]);
    const runs = records.all();
    const open = runs.filter((one) => !one.complete).at(-1);
    $("#resume").hidden = !open;
    if (open) {
      const who = open.listener ? `${open.listener}'s run` : "A run";
      $("#resume span").textContent =
        `${who} of ${open.started.slice(0, 10)} was left after ${open.trials.length} of ${pairs * trials} trials.`;
      $("#continue").onclick = () => begin(open, true);
    }
    $("#storage").textContent = records.kept
      ? "Answers are kept in this browser and sent nowhere."
      : "This browser keeps nothing for this page, so answers stay in memory: save the results before you close it.";
    $("#earlier").hidden = runs.length === 0;
    const complete = runs.filter((one) => one.complete).length;
    $("#earlier p").textContent = `On record here: ${complete} complete, ${runs.length - complete} incomplete.`;
    show("intro");
  }

  function begin(one, resumed) {
    run = one;
    if (resumed) run.resumed += 1;
    nextPair();
  }

  function newRun() {
    return {
      id: [...chance(16)].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      listener: $("#listener").value.trim(),
      started: new Date().toISOString(),
      ended: null,
      complete: false,
      resumed: 0,
      user_agent: navigator.userAgent,
      order: shuffled(test.pairs.length),
      playback_rates: {},
      trials: [],
    };
  }

  function nextPair() {
    const done = per(run);
    const number = run.order.find((i) => done[i] < trials);
    if (number === undefined) return finish();
    const about = test.pairs[number];
    const [a, b] = ["a", "b"].map((which) => {
      const { format, gain } = about[which];
      return decodeSound($(`#sound-${number}-${which}`).textContent, format, about.channels, gain);
    });
    player?.close();
    player = makePlayer(about.sample_rate);
    player.volume($("#volume").value / 100);
    run.playback_rates[number] = player.rate;
    pair = { number, a, b, about };
    trial = null;
    const difference = differenceOf(a, b);
    player.load([a, b, difference.sound], false);
    const resampled = player.rate === about.sample_rate ? [] : [
      `This browser will not play at ${about.sample_rate} Hz; all sounds are converted to ${player.rate} Hz, in the same way.`,
    ];
    $("#notes").textContent = [...about.notes, ...resampled].join(" ");
    $("#task").textContent =
      "Get to know the two. Find a part where they differ, if they do, and how. What stands here as D is the change alone, " +
      `${difference.db.toFixed(0)} dB louder than it is.`;
    third("D", "difference");
    view();
    draw();
    show("listen");
    return undefined;
  }

  function nextTrial() {
    if (per(run)[pair.number] >= trials) return nextPair();
    trial = { x: chance(1)[0] & 1, began: performance.now(), switches: 0, heard: false };
    player.load([pair.a, pair.b, trial.x ? pair.b : pair.a], true);
    $("#answer").reset();
    $("#task").textContent = "Is X the original, or the changed sound?";
    third("X", "which?");
    view();
    show("listen");
    return undefined;
  }

  function third(letter, words) {
    const [b, span] = $("#third").children;
    [b.textContent, span.textContent] = [letter, words];
    $("#third").setAttribute("aria-keyshortcuts", letter);
  }

  function view() {
    const done = per(run)[pair.number];
    const place = test.pairs.length === 1 ? "" : `Pair ${run.order.indexOf(pair.number) + 1} of ${test.pairs.length}`;
    const now = trial ? `trial ${done + 1} of ${trials}` : "to get to know";
    $("#where").textContent = place ? `${place}, ${now}` : now[0].toUpperCase() + now.slice(1);
    $("#name").textContent = pair.about.name;
    Object.assign($("#progress"), { max: trials, value: done });
    $("#answer").hidden = !trial;
    $("#ready").hidden = Boolean(trial);
    $("#ready button").textContent = done ? `Go on with trial ${done + 1}` : "Start the trials";
    refresh();
  }

  /** Show what plays and what may be done; told again after whatever changes it. */
  function refresh() {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === player.selected)));
    $("#play").textContent = player.playing ? "Pause" : "Play";
    for (const [id, value] of [["from", player.from], ["to", player.to]]) {
      Object.assign($(`#${id}`), { max: player.length(), value });
      $(`#${id}-time`).textContent = `${value.toFixed(2)} s`;
    }
    if (!trial) return;
    const answered = new FormData($("#answer")).get("is") !== null;
    $("#answer button").disabled = !(answered && trial.heard);
    $("#hint").textContent = trial.heard ? "" : "Listen to X first.";
  }

  function choose(i) {
    player.select(i);
    player.start();
    if (trial) {
      trial.switches += 1;
      trial.heard ||= i === 2;
    }
    say(`Playing ${["A", "B", trial ? "X" : "the difference"][i]}`);
    refresh();
  }

  function toggle() {
    if (player.playing) player.stop();
    else choose(player.selected);
    refresh();
  }

  function confirm() {
    const answer = new FormData($("#answer")).get("is");
    if (!trial || !trial.heard || answer === null) return;
    const x = "AB"[trial.x];
    run.trials.push({
      pair: pair.number,
      trial: per(run)[pair.number] + 1,
      x,
      answer,
      right: x === answer,
      seconds: Math.round(performance.now() - trial.began) / 1000,
      switches: trial.switches,
    });
    run.ended = new Date().toISOString();
    run.complete = run.trials.length === trials * test.pairs.length;
    records.save(run);
    unsaved = !records.kept;
    say("Recorded.");
    nextTrial();
  }

  function finish() {
    player?.stop();
    const counts = test.pairs.map((_, i) => run.trials.filter((one) => one.pair === i && one.right).length);
    const all = counts.map((right, i) => report(test.pairs[i].name, right, trials, right >= needed));
    if (counts.length > 1) {
      const total = counts.reduce((sum, right) => sum + right, 0);
      const whole = pValue(total, trials * counts.length);
      const one = report("All pairs together", total, trials * counts.length, whole <= alpha);
      const luck = document.createElement("p");
      luck.className = "small";
      luck.textContent =
        `Of ${counts.length} pairs a guesser passes at least one with probability ` +
        `${figure(1 - (1 - guessesPass) ** counts.length)}.`;
      one.append(luck);
      all.push(one);
    }
    $("#results").replaceChildren(...all);
    show("done");
  }

  function report(name, right, of, heard) {
    const block = document.createElement("div");
    const [title, count, words] = ["h2", "p", "p"].map((tag) => block.appendChild(document.createElement(tag)));
    const high = Math.max(0, 2 * shareInterval(right, of)[1] - 1);
    block.className = "result";
    title.textContent = name;
    count.className = "big";
    count.textContent = `${right} of ${of} right, p = ${figure(pValue(right, of))}`;
    words.textContent = heard
      ? `Heard. A guesser does so well one time in ${Math.round(1 / pValue(right, of))}.`
      : `Not shown to be heard. With 95 % confidence it was heard in at most ${percent(high)} of the trials.`;
    return block;
  }

  /** Draw the original, and the loop behind it. */
  function draw() {
    const canvas = $("#wave canvas");
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!pair || !width) return;
    const colours = getComputedStyle(document.documentElement);
    const ratio = window.devicePixelRatio || 1;
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const at = (time) => (time / player.length()) * width;
    pen.fillStyle = colours.getPropertyValue("--wash");
    pen.fillRect(at(player.from), 0, at(player.to) - at(player.from), height);
    pen.fillStyle = colours.getPropertyValue("--wave");
    const frames = pair.a[0].length;
    const full = pair.a.reduce((most, channel) => channel.reduce((m, v) => Math.max(m, Math.abs(v)), most), 1e-9);
    for (let x = 0; x < width; x += 1) {
      let [low, high] = [0, 0];
      const end = Math.ceil(((x + 1) / width) * frames);
      for (const channel of pair.a) {
        for (let i = Math.floor((x / width) * frames); i < end; i += 1) {
          low = Math.min(low, channel[i]);
          high = Math.max(high, channel[i]);
        }
      }
      const [top, bottom] = [high, low].map((v) => (height / 2) * (1 - (0.95 * v) / full));
      pen.fillRect(x, top, 1, Math.max(1, bottom - top));
    }
  }

  function loop(from, to) {
    player.loop(from, to);
    refresh();
    draw();
  }

  function follow() {
    if (player && !$("#listen").hidden) $("#head").style.left = `${(100 * player.now()) / player.length()}%`;
    requestAnimationFrame(follow);
  }

  function wireWave() {
    const wave = $("#wave");
    let start = null;
    const time = (event) => {
      const box = wave.getBoundingClientRect();
      return (Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))) * player.length();
    };
    wave.addEventListener("pointerdown", (event) => {
      start = { time: time(event), x: event.clientX };
      wave.setPointerCapture(event.pointerId);
    });
    wave.addEventListener("pointerup", (event) => {
      if (!start) return;
      if (Math.abs(event.clientX - start.x) > 5) loop(start.time, time(event));
      else player.seek(time(event));
      start = null;
    });
    wave.addEventListener("pointercancel", () => (start = null));
    new ResizeObserver(draw).observe(wave);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  const keys = {
    a: () => choose(0),
    b: () => choose(1),
    x: () => trial && choose(2),
    d: () => !trial && choose(2),
    " ": toggle,
    1: () => answer("A"),
    2: () => answer("B"),
    enter: () => (trial ? confirm() : nextTrial()),
    arrowleft: () => player.seek(player.now() - step()),
    arrowright: () => player.seek(player.now() + step()),
    arrowup: () => volume(5),
    arrowdown: () => volume(-5),
    s: () => loop(player.now(), player.to),
    e: () => loop(player.from, player.now()),
    w: () => loop(0, player.length()),
  };
  const step = () => Math.min(0.5, (player.to - player.from) / 10);

  function answer(letter) {
    if (!trial) return;
    $(`#answer input[value="${letter}"]`).checked = true;
    refresh();
  }

  function volume(change) {
    const slider = $("#volume");
    slider.value = Number(slider.value) + change;
    player.volume(slider.value / 100);
  }

  document.addEventListener("keydown", (event) => {
    if ($("#listen").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const own = { BUTTON: [" ", "enter"], SUMMARY: [" ", "enter"] }[event.target.tagName] ?? [];
    const slides = event.target.type === "range" && key.startsWith("arrow");
    const picks = event.target.type === "radio" && (key.startsWith("arrow") || (key === " " && !event.target.checked));
    if (!Object.hasOwn(keys, key) || own.includes(key) || slides || picks) return;
    event.preventDefault();
    if (!event.repeat || key.startsWith("arrow")) keys[key]();
  });

  buttons.forEach((button, i) => (button.onclick = () => choose(i)));
  for (const button of $("#player").querySelectorAll("button")) {
    button.addEventListener("mousedown", (event) => event.preventDefault()); // the keys stay the page's own
  }
  $("#play").onclick = toggle;
  $("#whole").onclick = () => loop(0, player.length());
  $("#from").oninput = () => loop(Math.min(Number($("#from").value), player.to - SHORTEST), player.to);
  $("#to").oninput = () => loop(player.from, Math.max(Number($("#to").value), player.from + SHORTEST));
  $("#volume").oninput = () => volume(0);
  $("#answer").onchange = refresh;
  $("#answer").onsubmit = (event) => {
    event.preventDefault();
    confirm();
  };
  $("#ready button").onclick = nextTrial;
  $("#begin").onsubmit = (event) => {
    event.preventDefault();
    begin(newRun(), false);
  };
  $("#again").onclick = () => {
    $("#listener").value = ""; // it may be somebody else's turn
    intro();
  };
  const name = () => `listening-${test.id.slice(0, 8)}-${new Date().toISOString().slice(0, 10)}`;
  for (const button of document.querySelectorAll("button.json")) {
    button.onclick = () => {
      download(records.asJson(), `${name()}.json`, "application/json");
      unsaved = false;
    };
  }
  for (const button of document.querySelectorAll("button.csv")) {
    button.onclick = () => download(records.asCsv(), `${name()}.csv`, "text/csv");
  }
  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });
  wireWave();
  intro();
  follow();
}

window.addEventListener("error", ({ message }) => {
  $("#broken").hidden = false;
  $("#broken").textContent = `This failed, so do not go on: ${message} A recent Chromium, Firefox or Safari should do better.`;
});
runTest();
