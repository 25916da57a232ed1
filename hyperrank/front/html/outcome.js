// "What you get": a row of numbers and a picture of them for each objective.
const pictures = [];

function buildOutcome() {
  const heads = ["Objective", front.metric, ...(front.reference ? [`Against the ${front.baseline}`] : [])];
  const table = byId("outcome");
  table.append(
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))),
    ...range(m).map(buildRow));
  // Said outright, since a narrow window lays the table out as a grid, which would lose what it is.
  const roles = { thead: "rowgroup", tbody: "rowgroup", tr: "row", "thead th": "columnheader", "tbody th": "rowheader", td: "cell" };
  table.setAttribute("role", "table");
  for (const [what, role] of Object.entries(roles)) {
    table.querySelectorAll(what).forEach((node) => node.setAttribute("role", role));
  }
  const level = evidence.missing ? "" : percent(evidence.level);
  byId("outcome-hint").textContent = evidence.missing
    || `Values hold for these ${evidence.n_queries.toLocaleString("en")} queries. Intervals are where they would lie `
    + `for ${level} of other such sets of queries (bootstrap)`
    + (evidence.difference ? "; differences are taken on the same queries." : ".");
  const key = [["dot", "this trade-off"], ["span", `its ${level} interval`], ["band", "all trade-offs"]];
  if (evidence.missing) key.splice(1, 1);
  if (front.reference) key.push(["tick", front.baseline]);
  key.push(["limit", "its limit"]);
  byId("outcome-key").append(...key.map(([mark, text]) =>
    element("span", {}, element("i", { class: mark }), text)));
}

function buildRow(j) {
  const picture = drawn("svg", { class: "whisker", "aria-hidden": "true", focusable: "false" });
  pictures.push(picture);
  const cells = [element("th", { scope: "row" }, named(j)), element("td", { class: "value" })];
  if (front.reference) cells.push(element("td", { class: "gain" }));
  const numbers = element("tr", { class: "numbers" }, ...cells);
  const span = element("td", { colspan: cells.length }, picture);
  return element("tbody", {}, numbers, element("tr", { class: "picture", "aria-hidden": "true" }, span));
}

function showOutcome(i, limits) {
  byId("outcome").querySelectorAll("tr.numbers").forEach((row, j) => {
    const around = evidence.missing ? [] : [element("small", {}, interval(evidence.interval[i][j], j))];
    row.querySelector(".value").replaceChildren(element("b", {}, shown(front.points[i][j], j)), ...around);
    if (front.reference) showGain(row.querySelector(".gain"), i, j);
    drawWhisker(pictures[j], i, j, limits[j]);
  });
  byId("verdict").textContent = front.nonDominated[i]
    ? "" : "Another measured trade-off is at least as good in every objective, and better in one.";
}

function showGain(cell, i, j) {
  const stand = standing(i, j);
  const parts = [element("b", {}, gainOf(i, j))];
  if (stand) {
    parts.push(element("span", { class: `stand ${stand.kind}` },
      element("span", { "aria-hidden": "true" }, `${stand.mark} `), stand.text));
    parts.push(element("small", {}, interval(evidence.difference[i][j], j, signed)));
  }
  cell.replaceChildren(...parts);
}

// From the least to the most that any value or interval of the objective reaches.
const extents = range(m).map((j) => {
  const values = column(j);
  if (front.reference) values.push(front.reference[j]);
  if (!evidence.missing) evidence.interval.forEach((row) => values.push(...row[j].filter((v) => v !== null)));
  return spread(values);
});

function spread(values) {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const margin = high > low ? 0.04 * (high - low) : Math.abs(high) * 0.05 || 0.5;
  return [low - margin, high + margin];
}

function drawWhisker(picture, i, j, limit) {
  const width = picture.clientWidth || 300;
  const [low, high] = extents[j];
  const x = (value) => Math.min(width, Math.max(0, ((value - low) / (high - low)) * width));
  const line = (kind, from, to) =>
    drawn("line", { class: kind, x1: x(from), x2: Math.max(x(to), x(from) + 0.5), y1: 12, y2: 12 });
  const values = column(j);
  const parts = [
    drawn("line", { class: "track", x1: 0, x2: width, y1: 12, y2: 12 }),
    line("band", values.reduce((a, b) => Math.min(a, b)), largest[j]),
  ];
  if (front.reference) {
    parts.push(drawn("line", { class: "tick", x1: x(front.reference[j]), x2: x(front.reference[j]), y1: 1, y2: 23 }));
  }
  if (limit !== null) {
    const at = x(floorOf(limit, j));
    parts.push(drawn("path", { class: "limit", d: `M${at} 16l-5 7h10z` }));
  }
  if (!evidence.missing && evidence.interval[i][j][0] !== null) {
    const [from, to] = evidence.interval[i][j];
    parts.push(line("span", from, to));
    for (const end of [from, to]) {
      parts.push(drawn("line", { class: "span", x1: x(end), x2: x(end), y1: 8, y2: 16 }));
    }
  }
  parts.push(drawn("circle", { class: "dot", cx: x(front.points[i][j]), cy: 12, r: 5.5 }));
  picture.replaceChildren(...parts);
}
