// The front in numbers, and what follows from them without any page.
const front = JSON.parse(document.getElementById("data").textContent);
const evidence = front.evidence;
const m = front.names.length;
const k = front.points.length;
const temperatureOf = (i) => (front.temperatures === null ? null : front.temperatures[i]);
const range = (n) => Array.from({ length: n }, (_, i) => i);
const column = (j) => front.points.map((point) => point[j]);
const largest = range(m).map((j) => column(j).reduce((a, b) => Math.max(a, b)));

// Limits are shares of these, as in select: of the reference or, without one, of the front's best.
const base = front.reference || largest;
const owner = front.reference ? `the ${front.baseline}` : "the front's best";
// A share of what is not above 0 says nothing: then limits are values of the metric.
const relative = base.every((value) => value > 0);

const decimals = range(m).map((j) => {
  const values = front.reference ? [...column(j), front.reference[j]] : column(j);
  const size = Math.max(...[Math.min, Math.max].map((f) => Math.abs(values.reduce((a, b) => f(a, b)))));
  return size === 0 ? 4 : Math.min(10, Math.max(0, 4 - Math.floor(Math.log10(size)) - 1));
});
const shown = (value, j) => value.toFixed(decimals[j]);
const signed = (value, j) => sign(value) + Math.abs(value).toFixed(decimals[j]);
const sign = (value) => (value < 0 ? "\u2212" : "+");
const percent = (share, digits = 0) => (100 * share).toFixed(digits) + "\u00a0%";

// Trade-offs of one temperature; all where there is none.
const distinct = front.temperatures === null ? [] : [...new Set(front.temperatures)].sort((a, b) => a - b);
const rowsAt = (temperature) =>
  range(k).filter((i) => front.temperatures === null || front.temperatures[i] === temperature);

// The trade-off whose weights lie nearest; of equals one that no other beats, then the first.
function nearest(wish, among = range(k)) {
  let best = -1;
  let least = Infinity;
  for (const i of among) {
    const away = wish.reduce((sum, w, j) => sum + (w - front.weights[i][j]) ** 2, 0);
    const closer = away < least - 1e-12;
    const equal = Math.abs(away - least) <= 1e-12;
    if (closer || (equal && front.nonDominated[i] && !front.nonDominated[best])) {
      best = i;
      least = Math.min(least, away);
    }
  }
  return best;
}

// All weights after one was moved: the others give way in proportion, and keep it when there is nothing left.
function moved(wish, j, value) {
  const rest = Math.max(1 - value, 1e-9);
  const others = wish.reduce((sum, w, i) => (i === j ? sum : sum + w), 0);
  return wish.map((w, i) => (i === j ? value : (rest * (others > 0 ? w / others : 1 / (m - 1)))));
}

// Means of resampled queries, two bytes each: resample by resample, trade-off by trade-off, the reference last.
const resamples = (() => {
  const packed = evidence.resamples;
  if (!packed) return null;
  const bytes = Uint8Array.from(atob(packed.steps), (letter) => letter.charCodeAt(0));
  const steps = new DataView(bytes.buffer);
  const rows = k + (evidence.reference ? 1 : 0);
  const value = (r, row, j) => {
    const step = steps.getUint16(2 * ((r * rows + row) * m + j), true);
    return step > 65534 ? NaN : packed.low[j] + step * packed.step[j];
  };
  const best = front.reference
    ? null
    : range(packed.number).map((r) => range(m).map((j) => {
        let most = -Infinity;
        for (let i = 0; i < k; i += 1) most = Math.max(most, value(r, i, j));
        return most;
      }));
  return { number: packed.number, step: packed.step, value, base: (r, j) => (best ? best[r][j] : value(r, k, j)) };
})();
// Of a reference without values by query no share can be resampled.
const canBeSure = resamples !== null && !(relative && front.reference && !evidence.reference);
