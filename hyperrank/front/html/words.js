// Elements and sentences.
const byId = (id) => document.getElementById(id);
const SVG = document.querySelector("svg").namespaceURI;

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}
function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}
function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
// A name keeps its own direction within our sentences.
const named = (j) => element("bdi", {}, front.names[j]);
const short = (text, most) => ([...text].length > most ? [...text].slice(0, most - 1).join("") + "\u2026" : text);

function interval([low, high], j, format = shown) {
  return low === null ? "unknown" : `${format(low, j)} to ${format(high, j)}`;
}

// How a value stands to the reference: {mark, text, kind}.
function standing(i, j) {
  const gain = front.points[i][j] - front.reference[j];
  if (!evidence.difference) return null;
  const [low, high] = evidence.difference[i][j];
  if (gain === 0 && low === 0 && high === 0) return { mark: "=", text: "the same", kind: "even" };
  if (low !== null && low > 0) return { mark: "\u25b2", text: "better", kind: "better" };
  if (high !== null && high < 0) return { mark: "\u25bc", text: "worse", kind: "worse" };
  return { mark: "\u2248", text: "no clear difference", kind: "even" };
}

function gainOf(i, j) {
  const gain = front.points[i][j] - front.reference[j];
  const share = front.reference[j] > 0 ? ` (${sign(gain)}${percent(Math.abs(gain) / front.reference[j], 1)})` : "";
  return signed(gain, j) + share;
}

// One trade-off in one sentence, for pointers that rest on it and for ears.
function sentence(i) {
  const values = range(m).map((j) => `${front.names[j]} ${shown(front.points[i][j], j)}`
    + (front.reference ? `, ${gainOf(i, j)}` : ""));
  const beaten = front.nonDominated[i] ? "" : " Another is at least as good in everything.";
  const where = distinct.length > 1 ? `, temperature ${temperatureOf(i)}` : "";
  return `Row ${i}${where}: ${values.join("; ")}.${beaten}`;
}

// Lines of Python come in parts: a name in them must not turn the writing of what stands around it.
const literal = (j) => element("bdi", {}, front.literals[j]);
const dictionary = (pairs) =>
  ["{", ...pairs.flatMap(([j, number], n) => [n ? ", " : "", literal(j), `: ${number}`]), "}"];
const predictLine = (i) => [
  "ranker.predict(X, qid=qid, weights=", ...dictionary(range(m).map((j) => [j, front.weights[i][j]])),
  ...(temperatureOf(i) === null ? [] : [`, temperature=${temperatureOf(i)}`]), ")",
];

function selectLine(limits, maximize, sure) {
  const bound = limited(limits);
  const options = [];
  if (bound.length) options.push(["at_least=", ...dictionary(bound.map((j) => [j, limits[j]]))]);
  if (maximize !== null) options.push(["maximize=", literal(maximize)]);
  if (bound.length && !relative) options.push(["relative=False"]);
  if (bound.length && sure !== null) {
    options.push([`confidence=${sure}`], [`n_resamples=${resamples.number}`]);
    if (evidence.seed) options.push([`random_state=${evidence.seed}`]);
  }
  if (bound.length && state.everywhere) options.push(["in_every_segment=True"]);
  return ["front.select(", ...options.flatMap((parts, n) => [n ? ", " : "", ...parts]), ")"];
}
