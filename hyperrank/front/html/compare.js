// "Compare": a trade-off that was pinned beside the one that is chosen.
function buildCompare() {
  byId("pin").addEventListener("click", () => pin(state.index));
  byId("unpin").addEventListener("click", () => pin(null));
}

function pin(index) {
  state.pinned = index;
  showPinned();
  showQuery();
  markDots();
  say(index === null ? "Nothing is pinned." : `Row ${index} is pinned as A.`);
}

function showPinned() {
  const [a, b] = [state.pinned, state.index];
  byId("unpin").hidden = a === null;
  byId("pinned").parentElement.hidden = a === null;
  byId("pinned").replaceChildren();
  if (a === null) return;
  const heads = ["Objective", `A: row ${a}`, `B: row ${b}`, "B less A"];
  byId("pinned").append(
    element("caption", {}, a === b ? "A is pinned. Choose another trade-off: it becomes B." : "A is pinned, B is chosen."),
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...range(m).map((j) => element("tr", {}, element("th", { scope: "row" }, named(j)),
      ...[a, b].map((i) => element("td", {}, shown(front.points[i][j], j))), differenceCell(a, b, j)))));
}

function differenceCell(a, b, j) {
  const cell = element("td", {}, element("b", {}, signed(front.points[b][j] - front.points[a][j], j)));
  const bounds = a === b ? null : differenceInterval(a, b, j);
  if (bounds) cell.append(" ", element("small", {}, interval(bounds, j, signed)));
  return cell;
}

// Of two trade-offs on the same resampled queries.
function differenceInterval(a, b, j) {
  if (!resamples) return null;
  const gaps = range(resamples.number).map((r) => resamples.value(r, b, j) - resamples.value(r, a, j))
    .filter((gap) => !Number.isNaN(gap)).sort((x, y) => x - y);
  if (!gaps.length) return [null, null];
  const at = (share) => {
    const place = share * (gaps.length - 1);
    const low = Math.floor(place);
    return gaps[low] + (place - low) * (gaps[Math.min(low + 1, gaps.length - 1)] - gaps[low]);
  };
  return [at((1 - evidence.level) / 2), at((1 + evidence.level) / 2)];
}
