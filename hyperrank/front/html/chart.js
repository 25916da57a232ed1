// "All trade-offs": two objectives against each other.
const EDGE = { left: 70, right: 18, top: 14, bottom: 64 };
const plot = byId("plot");
const tip = byId("tip");
const chart = { axes: [0, Math.min(1, m - 1)], dots: [], size: [0, 0], scales: [], dragging: false };

function buildChart() {
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", "Trade-offs in two objectives");
  ["axis-x", "axis-y"].forEach((id, side) => {
    byId(id).append(...range(m).map((j) => element("option", { value: j }, front.names[j])));
    byId(id).value = chart.axes[side];
    byId(id).addEventListener("change", () => turn(side, Number(byId(id).value)));
  });
  byId("axes").hidden = m === 1;
  byId("inside").hidden = m < 3;
  const key = [["now", "chosen"], ["good", "Pareto-optimal"]];
  if (front.nonDominated.includes(false)) key.push(["beaten", "dominated"]);
  key.push(["out", "breaks a limit"]);
  if (front.reference) key.push(["star", front.baseline]);
  front.others.forEach(({ label }, n) => key.push([`other other-${n % 4}`, label]));
  byId("chart-key").append(...key.map(([kind, text]) => element("span", {}, sample(kind), text)));
  new ResizeObserver(() => drawChart()).observe(byId("chart"));
}

// An axis takes the objective; if the other had it, they change places.
function turn(side, j) {
  if (chart.axes[1 - side] === j) chart.axes[1 - side] = chart.axes[side];
  chart.axes[side] = j;
  ["axis-x", "axis-y"].forEach((id, at) => { byId(id).value = chart.axes[at]; });
  drawChart();
}

function sample(kind) {
  return drawn("svg", { class: "sample", width: 18, height: 18, viewBox: "-9 -9 18 18", "aria-hidden": "true" },
    drawn("path", { class: `mark ${kind}`, d: SHAPES[kind.split(" ")[0]] }));
}

const circle = (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
const SHAPES = {
  now: circle(6.5),
  good: circle(4.5),
  beaten: circle(3.5),
  out: "M-3 -3L3 3M-3 3L3 -3",
  other: "M0 -5L5 0L0 5L-5 0z",
  star: "M0 -8L2.1 -2.6L7.8 -2.4L3.3 1.1L4.8 6.6L0 3.4L-4.8 6.6L-3.3 1.1L-7.8 -2.4L-2.1 -2.6z",
};

function drawChart() {
  const width = Math.max(260, byId("chart").clientWidth);
  const flat = m === 1;
  const height = flat ? 150 : Math.min(460, Math.max(280, Math.round(width * 0.68)));
  chart.size = [width, height];
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  plot.setAttribute("height", height);
  const focused = document.activeElement && document.activeElement.closest("#plot [data-focus]");
  // An axis that moved under a limit being dragged would never let it rest.
  if (!chart.dragging) chart.scales = chart.axes.map((j, side) => scaleOf(j, side));
  const [x, y] = chart.scales;
  const parts = [...ticks(0, x)];
  if (!flat) parts.push(...ticks(1, y));
  parts.push(...barriers(flat ? [x] : [x, y]));
  parts.push(...front.others.map((other, n) => otherFront(other, n, x, y, flat)));
  chart.dots = range(k).map((i) => dot(i, x, y, flat));
  parts.push(drawn("g", { role: "radiogroup", "aria-label": "Trade-offs" }, ...drawOrder().map((i) => chart.dots[i])));
  if (front.reference) parts.push(referenceMark(x, y, flat));
  plot.replaceChildren(...parts);
  markDots();
  if (focused) {
    const again = plot.querySelector(`[data-focus="${focused.dataset.focus}"]`);
    if (again) again.focus();
  }
}

// Dominated ones lie below the others.
const drawOrder = () => range(k).sort((a, b) => front.nonDominated[a] - front.nonDominated[b] || a - b);

function scaleOf(j, side) {
  const values = column(j);
  if (front.reference) values.push(front.reference[j]);
  front.others.forEach(({ points }) => points.forEach((point) => values.push(point[j])));
  if (state.limits[j] !== null && keepsSome(j)) values.push(floorOf(state.limits[j], j));
  const [low, high] = spread(values);
  const [from, to] = side === 0
    ? [EDGE.left, chart.size[0] - EDGE.right] : [chart.size[1] - EDGE.bottom, EDGE.top];
  const at = (value) => from + ((value - low) / (high - low)) * (to - from);
  return { j, side, key: side, picture: plot, width: chart.size[0], low, high, from, to, at, back: (place) => low + ((place - from) / (to - from)) * (high - low) };
}

// A limit within what is measured moves no axis; one not far beyond widens it.
function keepsSome(j) {
  const [low, high] = spread(column(j));
  const floor = floorOf(state.limits[j], j);
  return floor > low - (high - low) && floor < high + (high - low);
}

function ticks(side, scale) {
  const [width, height] = chart.size;
  const parts = [];
  const many = side === 0 ? Math.max(2, Math.floor(width / 85)) : 5;
  for (const { value, text } of roundNumbers(scale.low, scale.high, many)) {
    const at = scale.at(value);
    const ends = side === 0
      ? { x1: at, x2: at, y1: EDGE.top, y2: height - EDGE.bottom }
      : { x1: EDGE.left, x2: width - EDGE.right, y1: at, y2: at };
    const place = side === 0
      ? { x: at, y: height - EDGE.bottom + 30, "text-anchor": "middle" }
      : { x: EDGE.left - 19, y: at + 4, "text-anchor": "end" };
    parts.push(drawn("line", { class: "grid", ...ends }), drawn("text", { class: "number", ...place }, text));
  }
  const middle = (scale.from + scale.to) / 2;
  const place = side === 0
    ? { x: middle, y: height - 10 } : { transform: `translate(13 ${middle}) rotate(-90)` };
  const name = short(front.names[scale.j], Math.max(12, Math.floor(Math.abs(scale.to - scale.from) / 11)));
  parts.push(drawn("text", { class: "title", "text-anchor": "middle", ...place },
    drawn("tspan", {}, name), " \u2192"));
  return parts;
}

function roundNumbers(low, high, many) {
  const rough = (high - low) / many;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return range(Math.max(0, last - first + 1)).map((n) => {
    const value = (first + n) * step;
    return { value, text: value.toFixed(Math.min(digits, 20)).replace("-", "\u2212") };
  });
}

// Another front on the same axes: to look at, not to choose from.
function otherFront({ label, points }, n, x, y, flat) {
  const marks = points.map((point) => drawn("path", { class: `mark other other-${n % 4}`, d: SHAPES.other,
    transform: `translate(${x.at(point[x.j])} ${flat ? 50 : y.at(point[y.j])})` }));
  return drawn("g", { role: "img", "aria-label": `${label}: ${points.length} trade-offs to compare with` }, ...marks);
}

function referenceMark(x, y, flat) {
  const place = [x.at(front.reference[x.j]), flat ? 50 : y.at(front.reference[y.j])];
  const label = `The ${front.baseline}: ${chart.axes.map((j) => `${front.names[j]} ${shown(front.reference[j], j)}`).join(", ")}`;
  return drawn("path", { class: "mark star", d: SHAPES.star, transform: `translate(${place.join(" ")})`,
    role: "img", "aria-label": label });
}

function dot(i, x, y, flat) {
  const place = [x.at(front.points[i][x.j]), flat ? 50 : y.at(front.points[i][y.j])];
  const node = drawn("g", { class: "trade-off", role: "radio", "data-focus": `dot-${i}`, class: "trade-off",
    transform: `translate(${place.join(" ")})` },
  drawn("circle", { class: "target", r: 11 }), drawn("path", { class: "mark" }));
  node.addEventListener("click", () => { take(i); node.focus({ preventScroll: true }); });
  node.addEventListener("keydown", (event) => walk(event, i));
  for (const kind of ["pointerenter", "focus"]) node.addEventListener(kind, () => showTip(i, place));
  for (const kind of ["pointerleave", "blur"]) node.addEventListener(kind, () => { tip.hidden = true; });
  return node;
}

// What is chosen, and what keeps the limits, may change without the axes: then only those are touched that change.
function markDots() {
  chart.dots.forEach((node, i) => {
    const kind = !keeps(i, state.limits) ? "out" : front.nonDominated[i] ? "good" : "beaten";
    const now = i === state.index;
    const looks = `trade-off ${kind}${now ? " now" : ""}${i === state.pinned ? " pinned" : ""}`;
    if (node.getAttribute("class") === looks) return;
    const shape = now && kind !== "out" ? "now" : kind;
    filled(node, { class: looks, "aria-checked": now, tabindex: now ? 0 : -1,
      "aria-label": sentence(i) + (kind === "out" ? " It breaks a limit." : "") + (i === state.pinned ? " Pinned as A." : "") }, []);
    filled(node.querySelector(".mark"), { class: `mark ${shape}`, d: SHAPES[shape] }, []);
    const ring = node.querySelector(".ring");
    if (ring && !now) ring.remove();
    if (!ring && now) node.append(drawn("circle", { class: "ring", r: 11 }));
    const letter = node.querySelector(".letter");
    if (letter) letter.remove();
    if (i === state.pinned) node.append(drawn("text", { class: "letter", x: 0, y: -13, "text-anchor": "middle" }, "A"));
  });
  markLines();
  const now = chart.dots[state.index];
  if (now && now !== document.activeElement && now !== now.parentNode.lastChild) now.parentNode.append(now);
}

// Left and right go by the one objective, up and down by the other.
function walk(event, i) {
  const ways = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 1], ArrowDown: [1, -1] };
  const ends = { Home: 0, End: k - 1 };
  let next = null;
  if (event.key in ways) {
    const [side, way] = ways[event.key];
    const order = byAxis(chart.axes[side]);
    next = order[Math.min(k - 1, Math.max(0, order.indexOf(i) + way))];
  } else if (event.key in ends) {
    next = byAxis(chart.axes[0])[ends[event.key]];
  } else {
    return;
  }
  event.preventDefault();
  take(next);
  chart.dots[next].focus({ preventScroll: true });
}

const byAxis = (j) => range(k).sort((a, b) => front.points[a][j] - front.points[b][j] || a - b);

function showTip(i, [left, top]) {
  const lines = range(m).map((j) => element("div", {}, named(j), element("span", {},
    `${shown(front.points[i][j], j)}${front.reference ? `  ${gainOf(i, j)}` : ""}`)));
  tip.replaceChildren(element("strong", {}, `Row ${i}${distinct.length > 1 ? `, temperature ${temperatureOf(i)}` : ""}`), ...lines);
  tip.hidden = false;
  const width = chart.size[0];
  const beside = left > width / 2 ? left - tip.offsetWidth - 14 : left + 14;
  tip.style.left = `${Math.max(0, Math.min(width - tip.offsetWidth, beside))}px`;
  tip.style.top = `${Math.max(0, Math.min(chart.size[1] - tip.offsetHeight, top - tip.offsetHeight / 2))}px`;
}
