// "What must hold": limits as numbers, as sliders, and as lines in the chart that can be dragged.
// What people type: per cent of the base, or values.
const typed = (limit) => (relative ? Number((100 * limit).toFixed(4)) : limit);
const untyped = (number) => (relative ? Number((number / 100).toFixed(6)) : number);

// Where a slider may go, in what people type. Its lowest place stands for no limit.
const reach = range(m).map((j) => {
  const values = column(j).map((value) => typed(relative ? value / base[j] : value));
  if (front.reference) values.push(typed(relative ? 1 : base[j]));
  const [low, high] = spread(values);
  const step = relative ? (high - low < 20 ? 0.1 : 0.5) : 10 ** Math.floor(Math.log10((high - low) / 50));
  const tidy = (value, round) => Number((round(value / step) * step).toFixed(8));
  return { step, low: tidy(low, Math.floor), high: tidy(high, Math.ceil) };
});
const fields = [];

function buildLimits() {
  byId("limits-hint").textContent = relative
    ? `The least that each objective must keep, in per cent of ${owner}. Leave empty what has no limit.`
    : "The least that each objective must reach. Leave empty what has no limit.";
  if (!canBeSure) {
    byId("limits-hint").append(resamples || evidence.missing
      ? " How surely they are kept is unknown here." : " How surely they are kept, select(confidence=...) tells in Python.");
  }
  byId("limits").append(...range(m).map(buildLimit));
  byId("maximize").append(
    element("option", { value: "" }, "everything without a limit"),
    ...range(m).map((j) => element("option", { value: j }, front.names[j])));
  const levels = ["", 0.5, 0.8, 0.9, 0.95, 0.99];
  byId("confidence").append(...levels.map((level) => element("option", { value: level },
    level === "" ? "on these queries" : `with ${percent(level)} confidence`)));
  byId("best").addEventListener("click", takeBest);
  byId("clear").addEventListener("click", () => {
    state.limits.fill(null);
    limitsChanged();
  });
  for (const id of ["maximize", "confidence"]) byId(id).addEventListener("change", () => showAsked());
}

function buildLimit(j) {
  const { step, low, high } = reach[j];
  const label = element("label", { for: `limit-${j}` }, named(j));
  const input = element("input", { type: "number", id: `limit-${j}`, step: relative ? 0.1 : "any",
    inputmode: "decimal", placeholder: "none", "aria-describedby": `floor-${j}` });
  const slider = element("input", { type: "range", id: `limit-slider-${j}`, min: low, max: high, step,
    "aria-label": `Limit of ${front.names[j]}` });
  const floor = element("span", { class: "floor", id: `floor-${j}` });
  input.addEventListener("input", () => {
    const number = input.value.trim() === "" ? NaN : Number(input.value);
    state.limits[j] = Number.isFinite(number) ? untyped(number) : null;
    limitsChanged(input);
  });
  slider.addEventListener("input", () => {
    state.limits[j] = Number(slider.value) <= low ? null : untyped(Number(slider.value));
    limitsChanged(slider);
  });
  fields.push({ input, slider, floor });
  const unit = relative ? [element("span", { class: "unit", "aria-hidden": "true" }, "%")] : [];
  return element("div", { class: "control" }, label,
    element("span", { class: "typed" }, input, ...unit), slider, floor);
}

function limitsChanged(source = null) {
  fields.forEach(({ input, slider, floor }, j) => {
    const limit = state.limits[j];
    if (input !== source) input.value = limit === null ? "" : typed(limit);
    if (slider !== source) slider.value = limit === null ? reach[j].low : typed(limit);
    floor.textContent = limit === null ? "no limit" : `at least ${shown(floorOf(limit, j), j)}`;
    slider.setAttribute("aria-valuetext", limit === null ? "no limit" : `at least ${spelledLimit(limit, j)}`);
  });
  byId("everywhere").checked = state.everywhere;
  document.querySelectorAll(".sure").forEach((node) => { node.hidden = !canBeSure || state.everywhere; });
  byId("clear").disabled = !limited(state.limits).length;
  drawChart();
  drawParallel();
  showKept();
  showAsked();
  showOutcome(state.index, state.limits);
  showSegments();
}

function showKept(why = null) {
  const bound = limited(state.limits);
  if (why || !bound.length) {
    byId("kept").textContent = why || "No limits yet: every trade-off is allowed.";
    return;
  }
  const number = range(k).filter((i) => keeps(i, state.limits)).length;
  const now = keeps(state.index, state.limits);
  const parts = [number ? `${number} of ${k} trade-offs ${number === 1 ? "keeps" : "keep"} all limits${everywhere()}.`
    : whyNone(state.limits)];
  if (number) parts.push(now ? "The chosen one does." : "The chosen one does not.");
  if (canBeSure && now && !state.everywhere) {
    parts.push(`Confidence that it does on other such queries: ${percent(confidenceOf(state.index, state.limits), 1)}, `
      + `allowing for the choice among all (${resamples.number.toLocaleString("en")} resamples).`);
  }
  byId("kept").textContent = parts.join(" ");
}

const asked = () => {
  const [maximize, sure] = ["maximize", "confidence"].map((id) => byId(id).value);
  return [maximize === "" ? null : Number(maximize), sure === "" || state.everywhere ? null : Number(sure)];
};

// The line of select stands only beside what it would choose.
function showAsked() {
  const wanted = limited(state.limits).length > 0 || asked()[0] !== null;
  byId("asked").hidden = !wanted || choose(state.limits, ...asked()).index !== state.index;
  byId("select-line").replaceChildren(...(byId("asked").hidden ? [] : selectLine(state.limits, ...asked())));
}

function takeBest() {
  const found = choose(state.limits, ...asked());
  if (found.why) showKept(found.why);
  else take(found.index);
}

// Lines in the chart, with a tab on the axis that pointers and arrow keys move.
function barriers(scales) {
  return scales.flatMap((scale) => {
    const limit = state.limits[scale.j];
    // At rest the two tabs keep clear of each other in the corner.
    const rest = scale.from + (scale.side === 0 ? 9 : -9);
    const place = limit === null ? rest : clamp(scale.at(floorOf(limit, scale.j)), scale.from, scale.to);
    const [width, height] = chart.size;
    const bottom = height - EDGE.bottom;
    const across = scale.side === 0;
    const parts = [];
    if (limit !== null) {
      const box = across
        ? { x: scale.from, y: EDGE.top, width: place - scale.from, height: bottom - EDGE.top }
        : { x: EDGE.left, y: place, width: width - EDGE.right - EDGE.left, height: scale.from - place };
      const ends = across
        ? { x1: place, x2: place, y1: EDGE.top, y2: bottom } : { x1: EDGE.left, x2: width - EDGE.right, y1: place, y2: place };
      parts.push(drawn("rect", { class: "barred", ...box }), drawn("line", { class: "barrier", ...ends }));
    }
    parts.push(tab(scale, across ? `translate(${place} ${bottom})` : `translate(${EDGE.left} ${place}) rotate(90)`));
    return parts;
  });
}

const clamp = (value, a, b) => Math.min(Math.max(a, b), Math.max(Math.min(a, b), value));

function tab(scale, transform) {
  const { j } = scale;
  const limit = state.limits[j];
  const { low, high, step } = reach[j];
  const node = drawn("g", { class: `tab ${scale.side === 0 ? "across" : "up"}`, role: "slider", tabindex: 0, transform,
    "data-focus": `tab-${scale.key}`, "aria-label": `Limit of ${front.names[j]}, in the chart`,
    "aria-orientation": scale.side === 0 ? "horizontal" : "vertical",
    "aria-valuemin": low, "aria-valuemax": high, "aria-valuenow": limit === null ? low : clamp(typed(limit), low, high),
    "aria-valuetext": limit === null ? "no limit" : `at least ${spelledLimit(limit, j)}` },
  drawn("rect", { class: "target", x: -14, y: -6, width: 28, height: 26 }),
  drawn("path", { class: "grip", d: "M0 -1l7 8v5h-14v-5z" }));
  node.addEventListener("pointerdown", (event) => drag(event, scale));
  node.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    const ends = { Home: low, End: high };
    if (!(event.key in steps) && !(event.key in ends)) return;
    event.preventDefault();
    const from = state.limits[j] === null ? low : typed(state.limits[j]);
    setLimit(j, event.key in ends ? ends[event.key] : from + steps[event.key] * step);
  });
  return node;
}

// By what people type; at the lowest place or below there is no limit.
function setLimit(j, number) {
  const { low, high, step } = reach[j];
  const tidy = Number((Math.round(number / step) * step).toFixed(8));
  state.limits[j] = tidy <= low ? null : untyped(Math.min(tidy, high));
  limitsChanged();
}

function drag(event, scale) {
  event.preventDefault();
  chart.dragging = true;
  const picture = scale.picture;
  picture.setPointerCapture(event.pointerId);
  const follow = (move) => {
    const box = picture.getBoundingClientRect();
    const place = (scale.side === 0 ? move.clientX - box.left : move.clientY - box.top) * (scale.width / box.width);
    const value = scale.back(clamp(place, scale.from, scale.to));
    const off = scale.side === 0 ? place <= scale.from : place >= scale.from;
    setLimit(scale.j, off ? -Infinity : typed(relative ? value / base[scale.j] : value));
  };
  const stop = () => {
    picture.removeEventListener("pointermove", follow);
    for (const kind of ["pointerup", "pointercancel"]) picture.removeEventListener(kind, stop);
    chart.dragging = false;
    drawChart();
    picture.querySelector(`[data-focus="tab-${scale.key}"]`).focus({ preventScroll: true });
  };
  picture.addEventListener("pointermove", follow);
  for (const kind of ["pointerup", "pointercancel"]) picture.addEventListener(kind, stop);
}
