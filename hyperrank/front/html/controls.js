// "What matters", and the one state that everything on the page shows.
const state = { index: front.first, wish: front.weights[front.first].slice(), limits: range(m).map(() => null), everywhere: false, pinned: null };
const sliders = [];
const rows = [...byId("table").querySelectorAll("tbody tr:not(.is-reference)")];
const levelsOf = (j) =>
  [...new Set(rowsAt(temperatureOf(state.index)).map((i) => front.weights[i][j]))].sort((a, b) => a - b);
let held = null;
let talk = null;

function buildWeights() {
  byId("weights").append(...range(m).map((j) => {
    const slider = element("input", { type: "range", id: `weight-${j}`, min: 0, max: 100, step: 0.1,
      "aria-describedby": "weights-hint" });
    const output = element("output", { for: `weight-${j}` });
    slider.addEventListener("pointerdown", () => { held = j; });
    slider.addEventListener("input", () => weigh(j, Number(slider.value) / 100));
    slider.addEventListener("change", () => {
      held = null;
      showWeights();
    });
    sliders.push({ slider, output });
    return element("div", { class: "control" }, element("label", { for: `weight-${j}` }, named(j)), output, slider);
  }));
  byId("temperature").append(...distinct.map((value) => element("option", { value }, value)));
  byId("temperature").addEventListener("change", () =>
    show(nearest(state.wish, rowsAt(Number(byId("temperature").value)))));
  byId("temperatures").hidden = distinct.length < 2;
}

// Keys move by small steps, and there may be no other trade-off so near: then they go to the next that there is.
function weigh(j, value) {
  const before = front.weights[state.index][j];
  let wish = moved(state.wish, j, value);
  const rowsHere = rowsAt(temperatureOf(state.index));
  let index = nearest(wish, rowsHere);
  if (held !== j && value !== before && Math.abs(front.weights[index][j] - before) < 1e-12) {
    const levels = levelsOf(j);
    const further = value > before
      ? levels.find((level) => level > before + 1e-12) : levels.findLast((level) => level < before - 1e-12);
    if (further !== undefined) {
      wish = moved(state.wish, j, further);
      index = nearest(wish, rowsHere.filter((i) => Math.abs(front.weights[i][j] - further) < 1e-12));
    }
  }
  state.wish = held === j ? wish : moved(wish, j, front.weights[index][j]);
  show(index);
}

// From the chart, the table or the limits.
function take(index) {
  state.wish = front.weights[index].slice();
  show(index);
}

function show(index) {
  state.index = index;
  document.body.dataset.tradeOff = index;
  showWeights();
  showOutcome(index, state.limits);
  showSegments();
  showPinned();
  showQuery();
  markDots();
  showKept();
  showAsked();
  byId("python").replaceChildren(...predictLine(index));
  byId("copied").textContent = "";
  rows.forEach((row, i) => row.classList.toggle("now", i === index));
  say(sentence(index));
}

function showWeights() {
  sliders.forEach(({ slider, output }, j) => {
    const weight = front.weights[state.index][j];
    if (held !== j) slider.value = 100 * weight;
    output.textContent = percent(weight, Number((100 * weight).toFixed(1)) % 1 ? 1 : 0);
    slider.setAttribute("aria-valuetext", output.textContent);
    slider.disabled = levelsOf(j).length === 1;
  });
  if (distinct.length > 1) byId("temperature").value = temperatureOf(state.index);
  byId("snapped").replaceChildren("Nearest measured trade-off: ",
    element("b", {}, `row ${state.index}`), ` of ${k.toLocaleString("en")}`);
}

// Ears get the last of many quick changes.
function say(text) {
  clearTimeout(talk);
  talk = setTimeout(() => { byId("said").textContent = text; }, 400);
}

async function copyLine() {
  if (await copyText(byId("python").textContent, "")) return;
  getSelection().selectAllChildren(byId("python"));
  const done = document.execCommand("copy");
  byId("copied").textContent = done ? "Copied." : "The line is selected: copy it with Ctrl+C.";
}

function buildTable() {
  byId("all").open = false;
  rows.forEach((row, i) => {
    const head = row.querySelector("th");
    const button = element("button", { type: "button", "aria-label": `Take row ${i}` }, head.textContent);
    button.addEventListener("click", () => take(i));
    head.replaceChildren(button);
  });
}

byId("live").hidden = false;
buildWeights();
buildOutcome();
buildLimits();
buildChart();
buildParallel();
buildCompare();
buildSegments();
buildQueries();
buildShare();
buildTable();
byId("copy").addEventListener("click", copyLine);
window.addEventListener("resize", () => showOutcome(state.index, state.limits));
limitsChanged();
show(state.index);
if (location.hash.length > 1) restore();
clearTimeout(talk);
