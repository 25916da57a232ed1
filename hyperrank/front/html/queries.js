// "One query": its documents under the trade-off that is chosen, and where they were under another.
function buildQueries() {
  byId("one-query").hidden = !front.queries.length;
  byId("query").append(...front.queries.map(({ query }, i) => element("option", { value: i }, query)));
  byId("query").addEventListener("change", showQuery);
}

// What is pinned; without that the reference, which is at temperature 0, or where the page began.
function before() {
  if (state.pinned !== null) return [state.pinned, "row {}, pinned as A"];
  const still = range(k).find((i) => temperatureOf(i) === 0);
  return still === undefined ? [front.first, "row {}, where the page began"] : [still, "row {}, the reference"];
}

function showQuery() {
  if (!front.queries.length) return;
  const { documents, orders, reasons } = front.queries[Number(byId("query").value)];
  const [row, text] = before();
  const [was, is] = [orders[row], orders[state.index]];
  const line = (rank, document, from, change) => element("tr", {},
    element("td", {}, rank), element("th", { scope: "row" }, element("bdi", {}, documents[document])),
    element("td", {}, from), element("td", { class: change.split(" ")[0] }, change),
    ...(reasons ? [element("td", {}, ...(change === "same" ? [] : why(reasons[document], row, state.index)))] : []));
  const lines = is.map((document, at) => {
    const from = was.indexOf(document);
    const change = from < 0 ? "new" : from === at ? "same" : from > at ? `up ${from - at}` : `down ${at - from}`;
    return line(at + 1, document, from < 0 ? "" : from + 1, change);
  });
  const gone = was.filter((document) => !is.includes(document))
    .map((document) => line("", document, was.indexOf(document) + 1, "gone"));
  const heads = ["Rank", "Document", "Before", "Change", ...(reasons ? ["Why"] : [])];
  const unit = " Why: what features contribute most to the change of its score, in standard deviations of the query's scores.";
  byId("ranking").replaceChildren(
    element("caption", {}, `Row ${state.index}; before: ${text.replace("{}", row)}.${reasons ? unit : ""}`),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...lines, ...gone));
}

// The features that contribute most, either way, as compare names them.
function why(reasons, a, b) {
  return reasons.map(([feature, shares]) => [feature, shares[b] - shares[a]])
    .filter(([, change]) => Math.abs(change) >= 0.005)
    .sort(([, x], [, y]) => Math.abs(y) - Math.abs(x)).slice(0, 3)
    .flatMap(([feature, change], n) => [n ? ", " : "", element("bdi", {}, front.features[feature]),
      ` ${sign(change)}${Math.abs(change).toFixed(2)}`]);
}
