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
  const { documents, orders } = front.queries[Number(byId("query").value)];
  const [row, text] = before();
  const [was, is] = [orders[row], orders[state.index]];
  const line = (rank, document, from, change) => element("tr", {},
    element("td", {}, rank), element("th", { scope: "row" }, element("bdi", {}, documents[document])),
    element("td", {}, from), element("td", { class: change.split(" ")[0] }, change));
  const lines = is.map((document, at) => {
    const from = was.indexOf(document);
    const change = from < 0 ? "new" : from === at ? "same" : from > at ? `up ${from - at}` : `down ${at - from}`;
    return line(at + 1, document, from < 0 ? "" : from + 1, change);
  });
  const gone = was.filter((document) => !is.includes(document))
    .map((document) => line("", document, was.indexOf(document) + 1, "gone"));
  const heads = ["Rank", "Document", "Before", "Change"];
  byId("ranking").replaceChildren(
    element("caption", {}, `Row ${state.index}; before: ${text.replace("{}", row)}.`),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...lines, ...gone));
}
