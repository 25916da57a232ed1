// Picking by limits, by the rules of ParetoFront.select.
// Limits are numbers by objective, null where there is none: shares of the base, or values.
const limited = (limits) => range(m).filter((j) => limits[j] !== null);
const floorOf = (limit, j) => (relative ? limit * base[j] : limit);
const keeps = (i, limits) => limited(limits).every((j) => front.points[i][j] >= floorOf(limits[j], j)
  && (!state.everywhere || front.segments.every((segment) => keepsIn(segment, i, j, limits[j]))));

// Rates each trade-off by the share of the best value, summed over what is to be best.
function desirability(limits, maximize) {
  const free = range(m).filter((j) => limits[j] === null);
  const over = maximize !== null ? [maximize] : free.length ? free : range(m);
  return front.points.map((point) =>
    over.reduce((sum, j) => sum + point[j] / (largest[j] > 0 ? largest[j] : 1), 0));
}

// How surely trade-offs keep limits, allowing for picking any of them, by the rules of LimitConfidence in Python:
// a normal score for each trade-off, and in each resample how far the farthest fell.
let known = { key: null };
function sureness(limits) {
  const key = JSON.stringify(limits);
  if (known.key === key) return known;
  const bound = limited(limits);
  const isShare = relative && bound.every((j) => limits[j] <= 1);
  const scores = range(k).map(() => Infinity);
  const falls = new Float64Array(resamples.number).fill(-Infinity);
  for (const i of range(k).filter((row) => !(isShare && front.certain[row]))) {
    for (const j of bound) {
      const margin = front.points[i][j] - floorOf(limits[j], j);
      const margins = range(resamples.number).map((r) =>
        resamples.value(r, i, j) - (relative ? limits[j] * resamples.base(r, j) : limits[j]));
      const deviation = deviationOf(margins);
      if (deviation <= 1e-9) {
        scores[i] = margin >= -1e-9 ? scores[i] : -Infinity;
        continue;
      }
      scores[i] = Math.min(scores[i], normalScore(margin / deviation, evidence.counts[j]));
      margins.forEach((value, r) => {
        const fall = (margin - value) / deviation;
        falls[r] = Number.isNaN(fall) ? Infinity : Math.max(falls[r], fall);
      });
    }
  }
  known = { key, scores, falls };
  return known;
}

function deviationOf(values) {
  const there = values.filter((value) => !Number.isNaN(value));
  const mean = there.reduce((a, b) => a + b, 0) / there.length;
  return Math.sqrt(there.reduce((sum, value) => sum + (value - mean) ** 2, 0) / there.length);
}

// Where a normal distribution has as much below it as Student's of n - 1 degrees of freedom (Wallace, 1959).
function normalScore(ratio, n) {
  const df = n - 1;
  const t = ratio * Math.sqrt(df / n);
  return Math.sign(t) * ((8 * df + 1) / (8 * df + 3)) * Math.sqrt(df * Math.log1p((t * t) / df));
}

function confidenceOf(i, limits) {
  const { scores, falls } = sureness(limits);
  return falls.filter((fall) => fall <= scores[i]).length / falls.length;
}

// The best trade-off, or why there is none: {index} or {why}.
function choose(limits, maximize, sure) {
  let among = range(k).filter((i) => keeps(i, limits));
  if (!among.length) return { why: whyNone(limits) };
  if (sure !== null && limited(limits).length) {
    const shares = new Map(among.map((i) => [i, confidenceOf(i, limits)]));
    const surest = among.reduce((a, b) => (shares.get(b) > shares.get(a) ? b : a), among[0]);
    among = among.filter((i) => shares.get(i) >= sure);
    if (!among.length) return { why: whyUnsure(sure, surest, shares.get(surest)), closest: surest };
  }
  // What dominates one may itself be unsure, or break a limit in a segment.
  among = among.filter((i) => !among.some((other) => dominates(front.points[other], front.points[i])));
  const rating = desirability(limits, maximize);
  return { index: among.reduce((a, b) => (rating[b] > rating[a] ? b : a)) };
}

const everywhere = () => (state.everywhere ? " in every segment" : "");
const dominates = (a, b) => a.every((value, j) => value >= b[j]) && a.some((value, j) => value > b[j]);

function whyNone(limits) {
  const beyond = limited(limits).filter((j) => largest[j] < floorOf(limits[j], j));
  const parts = beyond.map((j) => `${front.names[j]} of ${spelledLimit(limits[j], j)} is out of reach: the best `
    + `measured is ${shown(largest[j], j)}${relative ? ` (${percent(largest[j] / base[j], 1)})` : ""}.`);
  return parts.join(" ") || `Each limit can be kept, but no measured trade-off keeps all of them together${everywhere()}. Lower one.`;
}

function whyUnsure(sure, surest, share) {
  return `No trade-off keeps the limits with ${percent(sure)} confidence. The surest, row ${surest}, `
    + `does with ${percent(share, 1)}. Ask for less, or measure on more queries.`;
}

function spelledLimit(limit, j) {
  const floor = shown(floorOf(limit, j), j);
  return relative ? `${percent(limit, 1)} of ${owner} (${floor})` : floor;
}
