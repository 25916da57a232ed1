// What leaves the page: a link that restores it, the choice as JSON, the table as CSV.
function buildShare() {
  byId("copy-link").addEventListener("click", () => {
    history.replaceState(null, "", `#${stateText()}`);
    copyText(location.href, "The link is in the address bar: copy it from there.");
  });
  byId("save-choice").addEventListener("click", () =>
    save("trade_off.json", "application/json", JSON.stringify(choiceDocument(), null, 1)));
  byId("save-table").addEventListener("click", () => save("front.csv", "text/csv", tableText()));
  window.addEventListener("hashchange", restore);
}

// The state as a link spells it, with what is not there left out.
function stateText() {
  const [maximize, sure] = asked();
  const parts = {
    row: state.index,
    pinned: state.pinned,
    limits: limited(state.limits).length ? state.limits.map((limit) => (limit === null ? "" : limit)).join("_") : null,
    everywhere: state.everywhere ? 1 : null,
    maximize,
    sure,
    axes: m > 1 ? chart.axes.join("_") : null,
    query: front.queries.length ? byId("query").value : null,
  };
  return Object.entries(parts).filter(([, value]) => value !== null).map(([name, value]) => `${name}=${value}`).join("&");
}

// From the address, which anyone may have written: what means nothing here is left as it was.
function restore() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const whole = (text, below) => (/^\d{1,9}$/.test(text || "") && Number(text) < below ? Number(text) : null);
  const limits = (parts.get("limits") || "").split("_");
  if (limits.length === m && limits.every((text) => text === "" || Number.isFinite(Number(text)))) {
    state.limits = limits.map((text) => (text === "" ? null : Number(text)));
  }
  state.everywhere = front.canHoldInSegments && parts.get("everywhere") === "1";
  byId("maximize").value = whole(parts.get("maximize"), m) ?? "";
  byId("confidence").value = canBeSure ? parts.get("sure") ?? "" : "";
  for (const id of ["maximize", "confidence"]) if (byId(id).selectedIndex < 0) byId(id).value = "";
  const axes = (parts.get("axes") || "").split("_").map((text) => whole(text, m));
  if (axes.length === 2 && !axes.includes(null) && axes[0] !== axes[1]) turn(0, axes[0], turn(1, axes[1]));
  state.pinned = whole(parts.get("pinned"), k);
  byId("query").value = whole(parts.get("query"), front.queries.length) ?? byId("query").value;
  limitsChanged();
  take(whole(parts.get("row"), k) ?? state.index);
}

// As Selection.to_dict writes it, but for what was resampled.
function choiceDocument() {
  const i = state.index;
  const by = (values, js = range(m)) => Object.fromEntries(js.map((j) => [front.names[j], values[j]]));
  const kept = keeps(i, state.limits) ? limited(state.limits) : [];
  return {
    objectives: front.names, weights: by(front.weights[i]), temperature: temperatureOf(i), metric: front.metric,
    values: by(front.points[i]), limits: by(state.limits.map(floorOf), kept), index: i,
  };
}

function tableText() {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const heads = ["row", ...front.names.map((name) => `weight of ${name}`), "temperature", ...front.names];
  const lines = range(k).map((i) => [i, ...front.weights[i], temperatureOf(i) ?? "", ...front.points[i]]);
  return [heads.map(quoted), ...lines].map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  byId("copied").textContent = `Saved as ${name}.`;
}

async function copyText(text, otherwise) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = false;
  }
  byId("copied").textContent = done ? "Copied." : otherwise;
  return done;
}
