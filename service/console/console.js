// Talks to the service's own API; every text reaches the page as text, never as markup.

const find = (id) => document.getElementById(id);
const LOAD_EVERY_MS = 2000;
let model = null;
let examples = [];
let beginnings = null;
let typed = null;
let refusedKey = null;

const givenKey = () => find("key").value.trim();

async function ask(path, body) {
  const headers = { "content-type": "application/json" };
  const key = givenKey();
  if (key) headers.authorization = `Bearer ${key}`;
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (answer.ok) return path === "metrics" ? text : JSON.parse(text);
  let detail = text;
  try { detail = JSON.parse(text).detail; } catch { /* not of this service: shown as it came */ }
  if (answer.status === 401 || answer.status === 403) find("access").open = true;
  if (answer.status === 401) refusedKey = key;
  throw new Error(`${answer.status}: ${detail}`);
}

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property === "class") made.className = value;
    else made.setAttribute(property, value);
  }
  made.append(...children);
  return made;
}

function say(problem) {
  find("problem").hidden = !problem;
  find("problem").textContent = problem || "";
}

async function attempt(form, work) {
  // Not by disabling the button: that would take the keyboard's focus away.
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  say("");
  try { await work(); } catch (error) { say(error.message); } finally { form.setAttribute("aria-busy", "false"); }
}

function choose(select, names, chosen) {
  select.replaceChildren(...names.map((name) => element("option", { value: name }, String(name))));
  if (chosen !== undefined && names.map(String).includes(String(chosen))) select.value = chosen;
}

async function showModel() {
  model = await ask("model");
  const names = model.marketplaces.map((entry) => entry.name);
  find("model").textContent = `Version ${model.model_version} · ${names.join(", ")} · ${model.engine} on ${model.device}`;
  for (const id of ["marketplace", "cache-marketplace"]) choose(find(id), names, find(id).value);
  showQuality();
  showPlainProbes();
  await typeExample();
}

// An example in the marketplace's language, wherever nobody has typed anything: the first click has a result.
async function typeExample() {
  const written = { query: find("query").value, products: find("products").value };
  if ((written.query || written.products) && !isTyped(written)) return;
  beginnings ??= await ask("console/examples.json");
  const entry = model.marketplaces.find(({ name }) => name === find("marketplace").value);
  const example = beginnings[entry.language] ?? await storedExample(entry.name);
  // Somebody may have typed while the examples came.
  if (find("query").value !== written.query || find("products").value !== written.products) return;
  if (typed !== null && isTyped({ query: example.query, products: example.products.join("\n") })) return;
  typed = { query: example.query, products: example.products.join("\n") };
  find("query").value = typed.query;
  find("products").value = typed.products;
  find("threshold-note").textContent = typed.query ? "This is an example. Press Score, or type a query of your own." : "";
  find("scores").replaceChildren();
}

const isTyped = ({ query, products }) => typed !== null && query === typed.query && products === typed.products;

async function storedExample(marketplace) {
  const stored = (await ask(`examples/${encodeURIComponent(marketplace)}`)).examples;
  const query = stored.length ? stored[0].query : "";
  return { query, products: [...new Set(stored.map((pair) => pair.product_title))] };
}

function showPlainProbes() {
  const lines = model.marketplaces.filter((entry) => entry.plain_probes !== null).map(({ name, plain_probes: found }) => {
    const percent = (share) => `${(100 * share).toFixed(0)} %`;
    const before = found.parent === null ? "" : `, the version before ${percent(found.parent)}`;
    return element("li", {}, `${name}: ${percent(found.share)} of ${found.probes} (untrained encoder ${
      percent(found.untrained)}${before})`);
  });
  find("plain-probes-title").hidden = !lines.length;
  find("plain-probes").replaceChildren(...lines);
}

function heat(value, low, high) {
  const cell = element("td", { class: "heat" }, value.toFixed(3));
  cell.style.setProperty("--weight", (0.75 * Math.max(0, Math.min(1, (value - low) / (high - low)))).toFixed(3));
  return cell;
}

function showQuality() {
  const names = model.marketplaces.map((entry) => entry.name);
  const head = element("tr", {}, element("td"), ...names.map((name) => element("th", { scope: "col" }, name)));
  const rows = [["untrained encoder", model.untrained_roc_auc, names.length]];
  model.roc_auc.forEach((row, step) => rows.push([`after ${names[step] ?? step + 1}`, row, step + 1]));
  const body = rows.map(([title, row, learnt]) => element("tr", {}, element("th", { scope: "row" }, title),
    ...names.map((name, place) => {
      if (row[name] === undefined) return element("td", {}, "–");
      const cell = heat(row[name], 0.5, 1);
      if (place >= learnt) cell.classList.add("future");
      return cell;
    })));
  const caption = element("caption", { class: "note" },
    "R: ROC-AUC on validation queries after each step; italic: marketplace not learnt yet");
  find("quality").replaceChildren(element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...body)));
}

function bar(score, threshold, label) {
  const filled = element("i");
  filled.style.width = `${100 * score}%`;
  const made = element("div", { class: "bar", role: "img", "aria-label": label }, filled);
  if (threshold !== null) {
    const mark = element("b");
    mark.style.left = `${100 * threshold}%`;
    made.append(mark);
  }
  return made;
}

function listening(explanation) {
  const names = Object.keys(explanation.adapters);
  const rows = explanation.layers.map((layer, number) => element("tr", {},
    element("th", { scope: "row" }, `layer ${number + 1}`), ...names.map((name) => heat(layer[name], 0, 1))));
  rows.push(element("tr", {}, element("th", { scope: "row" }, "all"),
    ...names.map((name) => heat(explanation.adapters[name], 0, 1))));
  const head = element("tr", {}, element("td"), ...names.map((name) => element("th", { scope: "col" }, name)));
  return element("details", {}, element("summary", {}, "Weight of each adapter, by layer"),
    element("div", { class: "scrolling", tabindex: "0", role: "region", "aria-label": "attention over adapters" },
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))));
}

function scored(title, result, threshold, others) {
  const verdict = result.highly_relevant ? "highly relevant" : "";
  const value = result.score.toFixed(3);
  const limit = threshold === null ? "" : `, threshold ${threshold.toFixed(3)}`;
  const item = element("li", {},
    element("div", { class: "title" }, element("span", {}, title),
      element("span", { class: "value" }, `${value} `, element("span", { class: "relevant" }, verdict))),
    bar(result.score, threshold, `score ${value}${limit}`));
  for (const other of others) {
    const text = other.score === null ? "does not know the marketplace" : other.score.toFixed(3);
    const beside = bar(other.score ?? 0, null, `version ${other.version}: ${text}`);
    beside.classList.add("other");
    item.append(element("div", { class: "note value" }, `version ${other.version}: ${text}`), beside);
  }
  if (result.truncated.length) item.append(element("p", { class: "note" }, `too long, scored by its beginning: ${result.truncated.join(", ")}`));
  if (result.explanation) item.append(listening(result.explanation));
  return item;
}

async function score() {
  const marketplace = find("marketplace").value;
  const asked = titles();
  const pairs = asked.map((title, place) => ({
    marketplace, query: find("query").value, product: { id: `console-${place}`, title },
  }));
  const answer = await ask("score", { pairs, write_cache: false, explain: find("explain").checked });
  let compared = [];
  if (find("compare").checked) {
    const version = Number(find("other-version").value);
    compared = (await ask("compare", { pairs, versions: [version] })).versions;
  }
  const threshold = model.marketplaces.find((entry) => entry.name === marketplace).threshold;
  const order = asked.map((_, place) => place).sort((a, b) => answer.results[b].score - answer.results[a].score);
  find("scores").replaceChildren(...order.map((place) => scored(asked[place], answer.results[place], threshold,
    compared.map((entry) => ({ version: entry.model_version, score: entry.scores[place] })))));
  find("threshold-note").textContent = threshold === null
    ? `${asked.length} scored by version ${answer.model_version}. ${marketplace} has no threshold: no pair of it is highly relevant.`
    : `${asked.length} scored by version ${answer.model_version}. The mark is the threshold of ${marketplace}, ${
      threshold.toFixed(3)}. Nothing of this was cached.`;
}

async function lookUp() {
  const marketplace = encodeURIComponent(find("cache-marketplace").value);
  const query = encodeURIComponent(find("cache-query").value);
  const answer = await ask(`cache/${marketplace}?query=${query}`);
  const told = {
    relevant: `${answer.products.length} highly relevant products`,
    nothing_relevant: "Scored: nothing is highly relevant",
    never_scored: "Never scored",
  }[answer.status];
  const from = answer.generation === null ? "" : ` (generation ${answer.generation}, model version ${answer.model_version})`;
  find("cache-answer").replaceChildren(element("p", {}, told + from),
    element("ol", {}, ...answer.products.map((product) => element("li", {},
      element("code", {}, product.id), ` ${product.score.toFixed(4)}`))));
}

async function offerVersions() {
  find("versions").hidden = true;
  if (!find("compare").checked) return;
  const { versions } = await ask("model/versions");
  const others = versions.map((entry) => entry.model_version).filter((number) => number !== model.model_version);
  choose(find("other-version"), others.length ? others : [model.model_version]);
  find("versions").hidden = false;
}

const titles = () => find("products").value.split("\n").map((line) => line.trim()).filter(Boolean);

async function offerExamples() {
  if (!find("picking").open || !model) return;
  ({ examples } = await ask(`examples/${encodeURIComponent(find("marketplace").value)}`));
  choose(find("example-query"), [...new Set(examples.map((pair) => pair.query))]);
  if (examples.length) return pickQuery();
  find("example-products").replaceChildren(element("legend", {}, "This version has no examples"));
}

function pickQuery() {
  const query = find("example-query").value;
  find("query").value = query;
  const own = new Set(examples.filter((pair) => pair.query === query).map((pair) => pair.product_title));
  const all = [...new Set([...own, ...examples.map((pair) => pair.product_title)])];
  const boxes = all.map((title) => {
    const box = element("input", { type: "checkbox", value: title });
    box.checked = own.has(title);
    return element("label", {}, box, ` ${title}`);
  });
  find("example-products").replaceChildren(element("legend", {}, "Example products"), ...boxes);
  pickProducts();
}

function pickProducts() {
  const boxes = [...find("example-products").querySelectorAll("input")];
  const offered = new Set(boxes.map((box) => box.value));
  const untouched = typed !== null && find("products").value === typed.products;
  const written = untouched ? [] : titles().filter((title) => !offered.has(title));
  find("products").value = [...written, ...boxes.filter((box) => box.checked).map((box) => box.value)].join("\n");
}

async function showLoad() {
  const figures = new Map();
  for (const line of (await ask("metrics")).split("\n")) {
    const parts = /^relevance_(\w+)(?:\{.*\})? ([-+.\deE]+)$/.exec(line);
    if (parts) figures.set(parts[1], (figures.get(parts[1]) ?? 0) + Number(parts[2]));
  }
  const mean = (name) => figures.get(`${name}_count`) ? figures.get(`${name}_sum`) / figures.get(`${name}_count`) : 0;
  const rows = [
    ["Requests answered", figures.get("requests_total") ?? 0],
    ["Errors", figures.get("errors_total") ?? 0],
    ["Waiting requests", figures.get("waiting_requests") ?? 0],
    ["Waiting tokens", figures.get("waiting_tokens") ?? 0],
    ["Mean time to compute a batch", `${(1000 * mean("compute_seconds")).toFixed(1)} ms`],
    ["Mean padding of a batch", `${(100 * mean("batch_padding_share")).toFixed(1)} %`],
  ];
  if (model && figures.get("model_version") !== model.model_version) await showModel();
  find("load").replaceChildren(...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
}

async function watchLoad() {
  try {
    if (!document.hidden) {
      await showLoad();
      // Not again with a key that was refused.
      if (!model && refusedKey !== givenKey()) await showModel();
    }
  } catch (error) {
    find("model").textContent = error.message;
  }
  setTimeout(watchLoad, LOAD_EVERY_MS);
}

for (const [id, work] of [["score-form", score], ["cache-form", lookUp]]) {
  find(id).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(event.target, work);
  });
}
find("compare").addEventListener("change", () => attempt(find("score-form"), offerVersions));
find("picking").addEventListener("toggle", () => attempt(find("score-form"), offerExamples));
find("marketplace").addEventListener("change", () => attempt(find("score-form"), async () => {
  await typeExample();
  await offerExamples();
}));
find("example-query").addEventListener("change", pickQuery);
find("example-products").addEventListener("change", pickProducts);
find("key").value = sessionStorage.getItem("key") ?? "";
find("key").addEventListener("change", () => {
  sessionStorage.setItem("key", find("key").value);
  attempt(find("score-form"), showModel);
});
watchLoad();
