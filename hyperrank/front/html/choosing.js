// Picking by limits, by the rules of ParetoFront.select.
// Limits are numbers by objective, null where there is none: shares of the base, or values.
const limited = (limits) => range(m).filter((j) => limits[j] !== null);
const floorOf = (limit, j) => (relative ? limit * base[j] : limit);
const keeps = (i, limits) => limited(limits).every((j) => front.points[i][j] >= floorOf(limits[j], j));

// Rates each trade-off by the share of the best value, summed over what is to be best.
function desirability(limits, maximize) {
  const free = range(m).filter((j) => limits[j] === null);
  const over = maximize !== null ? [maximize] : free.length ? free : range(m);
  return front.points.map((point) =>
    over.reduce((sum, j) => sum + point[j] / (largest[j] > 0 ? largest[j] : 1), 0));
}

// The share of resamples in which a trade-off keeps all limits at once.
function confidenceOf(i, limits) {
  const bound = limited(limits);
  let kept = 0;
  for (let r = 0; r < resamples.number; r += 1) {
    kept += bound.every((j) => {
      const floor = relative ? limits[j] * resamples.base(r, j) : limits[j];
      return resamples.value(r, i, j) >= floor - 1e-9 * Math.max(1, Math.abs(floor)) - resamples.step[j] / 2;
    });
  }
  return kept / resamples.number;
}

// The best trade-off, or why there is none: {index} or {why}.
function choose(limits, maximize, sure) {
  const within = range(k).filter((i) => keeps(i, limits));
  if (!within.length) return { why: whyNone(limits) };
  let among = within.filter((i) => front.nonDominated[i]);
  if (sure !== null && limited(limits).length) {
    const shares = new Map(among.map((i) => [i, confidenceOf(i, limits)]));
    const surest = among.reduce((a, b) => (shares.get(b) > shares.get(a) ? b : a), among[0]);
    among = among.filter((i) => shares.get(i) >= sure);
    if (!among.length) return { why: whyUnsure(sure, surest, shares.get(surest)), closest: surest };
  }
  const rating = desirability(limits, maximize);
  return { index: among.reduce((a, b) => (rating[b] > rating[a] ? b : a)) };
}

function whyNone(limits) {
  const beyond = limited(limits).filter((j) => largest[j] < floorOf(limits[j], j));
  const parts = beyond.map((j) => `${front.names[j]} of ${spelledLimit(limits[j], j)} is out of reach: the best `
    + `measured is ${shown(largest[j], j)}${relative ? ` (${percent(largest[j] / base[j], 1)})` : ""}.`);
  return parts.join(" ") || "Each limit can be kept, but no measured trade-off keeps all of them together. Lower one.";
}

function whyUnsure(sure, surest, share) {
  return `No trade-off keeps the limits in ${percent(sure)} of the resamples. The surest, row ${surest}, `
    + `does in ${percent(share, 1)}. Ask for less, or measure on more queries.`;
}

function spelledLimit(limit, j) {
  const floor = shown(floorOf(limit, j), j);
  return relative ? `${percent(limit, 1)} of ${owner} (${floor})` : floor;
}
