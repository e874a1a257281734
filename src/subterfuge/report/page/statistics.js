// Exact binomial figures; the tests hold each to scipy's.

/** Probability of `right` or more of `trials`, each with probability p. */
function atLeast(right, trials, p) {
  if (right <= 0) return 1;
  if (right > trials || p <= 0) return 0;
  if (p >= 1) return 1;
  let log = right * Math.log(p) + (trials - right) * Math.log1p(-p); // of the probability of exactly k right
  for (let i = 1; i <= right; i += 1) log += Math.log((trials - right + i) / i);
  let sum = 0;
  for (let k = right; k <= trials; k += 1) {
    sum += Math.exp(log);
    log += Math.log((trials - k) / (k + 1)) + Math.log(p / (1 - p));
  }
  return Math.min(1, sum);
}

/** One-sided p-value: how often a guesser has so many right, or more. */
function pValue(right, trials) {
  return atLeast(right, trials, 0.5);
}

/** The 95 % interval of the share of right answers (Clopper and Pearson). */
function shareInterval(right, trials) {
  const low = right === 0 ? 0 : solve((p) => atLeast(right, trials, p) - 0.025);
  const high = right === trials ? 1 : solve((p) => atLeast(right + 1, trials, p) - 0.975);
  return [low, high];
}

/** The zero of a function that rises from below 0 to above 0 between 0 and 1. */
function solve(rising) {
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (rising(middle) < 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
