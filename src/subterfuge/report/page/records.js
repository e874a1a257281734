// What is kept of each run: in the browser's storage where there is one, else in memory alone.

function makeRecords(test) {
  const key = `subterfuge-listening-${test.id}`;
  let runs = [];
  let kept = true;

  function stored() {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found.filter((run) => run && Array.isArray(run.trials)) : [];
  }

  try {
    runs = stored();
    localStorage.setItem(key, JSON.stringify(runs));
  } catch {
    kept = false;
  }

  /** Keep a run, new or grown, beside what another window may have stored meanwhile. */
  function save(run) {
    if (!runs.includes(run)) runs.push(run);
    if (!kept) return;
    try {
      const others = stored().filter((other) => !runs.some((own) => own.id === other.id));
      localStorage.setItem(key, JSON.stringify([...others, ...runs]));
    } catch {
      kept = false;
    }
  }

  /** The answers of a run that is not complete stay hidden: who has seen them could stop where it suits. */
  function shown(run) {
    if (run.complete) return run;
    const { trials, ...rest } = run;
    return { ...rest, answered: trials.length, trials: [] };
  }

  function asJson() {
    return JSON.stringify({ format: "subterfuge listening results", schema: 1, test, runs: runs.map(shown) }, null, 1);
  }

  function asCsv() {
    const heads = "test,run,listener,complete,started,pair,name,trial,x,answer,right,seconds,switches".split(",");
    const rows = runs.map(shown).flatMap((run) => {
      const whole = [test.id, run.id, run.listener, run.complete, run.started];
      if (!run.complete) return [[...whole, ...heads.slice(whole.length).map(() => "")]];
      return run.trials.map((one) => [
        ...whole, one.pair + 1, test.pairs[one.pair].name, one.trial, one.x, one.answer, one.right, one.seconds, one.switches,
      ]);
    });
    return [heads, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  return { save, asJson, asCsv, get runs() { return runs; }, get kept() { return kept; } };
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
