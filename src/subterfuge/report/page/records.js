// What is kept of each run: in the browser's storage where there is one, else in memory alone.

function makeRecords(test) {
  const prefix = `subterfuge-listening-${test.id}-`;
  const own = new Map(); // the runs of this window, by their ids
  let kept = true;

  try {
    localStorage.setItem(prefix, "");
    localStorage.removeItem(prefix);
  } catch {
    kept = false;
  }

  /** Keep a run, new or grown; each has a place of its own, so two windows do not disturb each other. */
  function save(run) {
    own.set(run.id, run);
    if (!kept) return;
    try {
      localStorage.setItem(prefix + run.id, JSON.stringify(run));
    } catch {
      kept = false;
    }
  }

  /** The runs that the storage holds; whatever else may stand there is left alone. */
  function stored() {
    if (!kept) return [];
    const places = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
    return places.flatMap((place) => {
      try {
        const run = JSON.parse(localStorage.getItem(place));
        return Array.isArray(run.trials) ? [run] : [];
      } catch {
        return [];
      }
    });
  }

  /** All runs on record, the oldest first. */
  function all() {
    const others = stored().filter((run) => !own.has(run.id));
    return [...others, ...own.values()].sort((one, other) => (one.started < other.started ? -1 : 1));
  }

  /** The answers of a run that is not complete stay hidden: who has seen them could stop where it suits. */
  function shown(run) {
    if (run.complete) return run;
    const { trials, ...rest } = run;
    return { ...rest, answered: trials.length, trials: [] };
  }

  function asJson() {
    return JSON.stringify({ format: "subterfuge listening results", schema: 1, test, runs: all().map(shown) }, null, 1);
  }

  function asCsv() {
    const heads = "test,run,listener,complete,started,pair,name,trial,x,answer,right,seconds,switches".split(",");
    const rows = all().map(shown).flatMap((run) => {
      const whole = [test.id, run.id, run.listener, run.complete, run.started];
      if (!run.complete) return [[...whole, ...heads.slice(whole.length).map(() => "")]];
      return run.trials.map((one) => [
        ...whole, one.pair + 1, test.pairs[one.pair].name, one.trial, one.x, one.answer, one.right, one.seconds, one.switches,
      ]);
    });
    return [heads, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  return { save, all, asJson, asCsv, get kept() { return kept; } };
}

/** One cell of a CSV file; what a spreadsheet would take for a formula is kept from being one. */
function cell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download(text, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
