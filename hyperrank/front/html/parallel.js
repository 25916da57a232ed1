// "All objectives at once": an axis for each objective, a line for each trade-off. Limits brush the lines.
const lines = byId("lines");
const parallel = { paths: [], scales: [] };

function buildParallel() {
  byId("parallel").hidden = m < 3;
  if (m < 3) return;
  lines.setAttribute("role", "group");
  lines.setAttribute("aria-label", "Trade-offs in all objectives, with a limit on each axis");
  new ResizeObserver(() => drawParallel()).observe(byId("parallel"));
}

function drawParallel() {
  if (m < 3) return;
  const width = Math.max(260, byId("parallel").clientWidth);
  const height = 300;
  const [top, bottom] = [34, height - 34];
  lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
  lines.setAttribute("height", height);
  const focused = document.activeElement && document.activeElement.closest("#lines [data-focus]");
  parallel.scales = range(m).map((j) => {
    const [low, high] = spread([...column(j), ...(front.reference ? [front.reference[j]] : [])]);
    const x = 26 + (j * (width - 90)) / (m - 1);
    const at = (value) => bottom + ((value - low) / (high - low)) * (top - bottom);
    const back = (place) => low + ((place - bottom) / (top - bottom)) * (high - low);
    return { j, side: 1, key: `line-${j}`, picture: lines, width, x, low, high, from: bottom, to: top, at, back };
  });
  const path = (values) => values.map((value, j) =>
    `${j ? "L" : "M"}${parallel.scales[j].x} ${parallel.scales[j].at(value).toFixed(2)}`).join("");
  parallel.paths = range(k).map((i) => {
    const node = drawn("path", { d: path(front.points[i]) });
    node.addEventListener("click", () => take(i));
    return node;
  });
  const parts = [drawn("g", { class: "tangle", "aria-hidden": "true" }, ...parallel.paths)];
  if (front.reference) parts.push(drawn("path", { class: "of-reference", d: path(front.reference) }));
  lines.replaceChildren(...parts, ...parallel.scales.flatMap((scale) => axisWithLimit(scale, height)));
  markLines();
  if (focused) {
    const again = lines.querySelector(`[data-focus="${focused.dataset.focus}"]`);
    if (again) again.focus({ preventScroll: true });
  }
}

function axisWithLimit(scale, height) {
  const { j, x, low, high, from, to } = scale;
  const limit = state.limits[j];
  const place = limit === null ? from - 9 : clamp(scale.at(floorOf(limit, j)), from, to);
  const gap = (scale.width - 90) / (m - 1);
  const parts = [
    drawn("line", { class: "axis", x1: x, x2: x, y1: to, y2: from }),
    drawn("text", { class: "title", x: j === m - 1 ? scale.width : x - 20, y: 12, "text-anchor": j === m - 1 ? "end" : "start" },
      short(front.names[j], Math.max(6, Math.floor(gap / 8)))),
    drawn("text", { class: "number", x: x - 20, y: to - 6 }, shown(high, j)),
    drawn("text", { class: "number", x: x - 20, y: height - 14 }, shown(low, j)),
  ];
  if (limit !== null) parts.push(drawn("line", { class: "barrier", x1: x - 9, x2: x + 9, y1: place, y2: place }));
  parts.push(tab(scale, `translate(${x} ${place}) rotate(90)`));
  return parts;
}

// The chosen line on top, what keeps all limits above what does not.
function markLines() {
  if (!parallel.paths.length) return;
  const rank = (i) => (i === state.index ? 3 : i === state.pinned ? 2 : keeps(i, state.limits) ? 1 : 0);
  parallel.paths.forEach((node, i) => node.setAttribute("class", ["out", "good", "pinned", "now"][rank(i)]));
  const order = range(k).sort((a, b) => rank(a) - rank(b) || a - b);
  parallel.paths[0].parentNode.append(...order.map((i) => parallel.paths[i]));
}
