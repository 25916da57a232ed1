// "By segment": what the chosen trade-off reaches among the queries of each market, device or the like.
for (const segment of front.segments) {
  segment.base = segment.reference
    || range(m).map((j) => segment.points.reduce((most, point) => Math.max(most, point[j]), -Infinity));
}

function buildSegments() {
  byId("by-segment").hidden = !front.segments.length;
  byId("everywhere-choice").hidden = !front.canHoldInSegments;
  byId("everywhere").addEventListener("change", () => {
    state.everywhere = byId("everywhere").checked;
    limitsChanged();
  });
  byId("segments-hint").textContent = front.reference
    ? `Changes from the ${front.baseline} on the same queries, with ${percent(front.segmentLevel)} intervals.`
    : `Values, with ${percent(front.segmentLevel)} intervals.`;
}

function keepsIn(segment, i, j, limit) {
  const value = segment.points[i][j];
  return value !== null && value >= (relative ? limit * segment.base[j] : limit) - 1e-9;
}

function showSegments() {
  const cell = (segment, j) => {
    const [i, limit, from] = [state.index, state.limits[j], segment.reference ? segment.reference[j] : 0];
    const [value, half] = [segment.points[i][j], segment.half[i][j]];
    if (value === null) return element("td", {}, "unknown");
    const format = segment.reference ? signed : shown;
    const share = from > 0 ? ` (${sign(value - from)}${percent(Math.abs(value - from) / from, 1)})` : "";
    const around = half === null ? [null, null] : [value - from - half, value - from + half];
    const parts = [element("b", {}, format(value - from, j) + share), element("small", {}, interval(around, j, format))];
    if (limit !== null && !keepsIn(segment, i, j, limit)) {
      parts.push(element("span", { class: "stand worse" }, "below its limit"));
    }
    return element("td", {}, ...parts);
  };
  const row = (segment) => element("tr", {}, element("th", { scope: "row" }, element("bdi", {}, segment.name)),
    element("td", {}, segment.queries.toLocaleString("en")), ...range(m).map((j) => cell(segment, j)));
  const heads = ["Segment", "Queries", ...range(m).map(named)];
  byId("segments").replaceChildren(
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...front.segments.map(row)));
}
