// The status page: draws what comes by /api/events. Every text from outside goes in as textContent, never as HTML.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const KEPT = 300; // points of a chart: one a second
const FEWEST = 60; // points that fill a chart while there are fewer
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
let state = null;
let points = [];

function element(tag, className, text) {
  const out = document.createElement(tag);
  if (className) out.className = className;
  if (text !== undefined) out.textContent = text;
  return out;
}

function put(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

const total = (n) => (n < 1e6 ? whole.format(n) : short.format(n));
const rate = (n) => (n === null ? "–" : n > 0 && n < 10 ? n.toFixed(1) : n < 100_000 ? whole.format(n) : short.format(n));

function duration(us, least = 1000) { // → [number, unit]; no finer than `least`
  if (us === null) return ["–", ""];
  if (us < least) return least < 1000 ? ["< 1", "µs"] : ["< 1", "ms"];
  if (us < 1000) return [whole.format(us), "µs"];
  if (us < 1e6) return [(us / 1e3).toPrecision(us < 1e4 ? 2 : 3), "ms"];
  if (us < 6e7) return [(us / 1e6).toPrecision(3), "s"];
  return [us < 6e8 ? (us / 6e7).toPrecision(2) : whole.format(us / 6e7), "min"];
}

const tidy = (text) => text.replace(/\.0+(?!\d)|(\.\d*[1-9])0+(?!\d)/, "$1"); // 6.00 s → 6 s
const waited = (us) => duration(us).join(" "); // since a submit, which tells time to the millisecond
const ran = (us) => duration(us, 1).join(" ");
const both = (say, p50, p99) => (p50 === null ? "–" : `${say(p50)} · ${say(p99)}`);

function since(seconds) {
  if (seconds < 90) return `${whole.format(Math.max(0, seconds))} s`;
  if (seconds < 5400) return `${whole.format(seconds / 60)} min`;
  return seconds < 172_800 ? `${whole.format(seconds / 3600)} h` : `${whole.format(seconds / 86_400)} d`;
}

// tables

function cell(label, text, className, title = text) {
  const out = element("td");
  out.dataset.label = label;
  out.append(element("span", className ?? (text === "0" ? "zero" : ""), text));
  out.title = title;
  return out;
}

function fill(id, none, rows) {
  $(id).tBodies[0].replaceChildren(...rows);
  $(id).hidden = rows.length === 0;
  $(none).hidden = rows.length > 0;
}

function queueRow(q) {
  const row = element("tr");
  const name = element("td");
  name.append(element("span", "app", `${q.app} / `), element("span", "", q.queue));
  row.append(
    name, cell("tasks", whole.format(q.tasks)), cell("accepted/s", rate(q.rates.accepted)), cell("done/s", rate(q.rates.done)),
    cell("retries waiting", whole.format(q.waiting), q.waiting ? "warn" : "zero"), cell("done, ever", total(q.done), undefined, whole.format(q.done)),
    cell("dead, ever", whole.format(q.dead), q.dead ? "bad" : "zero"),
  );
  return row;
}

function workerRow(w) {
  const row = element("tr");
  const texts = [
    ["state", w.state, `state ${w.state}`], ["queues", w.queues.join(", ")], ["tasks/s", rate(w.rate)],
    ["in hand", w.in_hand === null ? "–" : whole.format(w.in_hand)], ["wait p50 · p99", both(waited, w.p50_us, w.p99_us)],
    ["run p50 · p99", both(ran, w.run_p50_us, w.run_p99_us)], ["up", w.started_at ? since(Date.now() / 1000 - w.started_at) : "–"],
    ["version", `${w.version ?? "?"}${w.core === "python" ? ", pure Python" : ""}`],
  ];
  row.append(cell("worker", w.name), ...texts.map((t) => cell(...t)));
  row.children[1].classList.add("left");
  row.children[2].classList.add("left");
  return row;
}

function breakerItem(b) {
  const out = element("li");
  const where = b.of > 1 ? ` in ${b.workers} of ${b.of} workers` : "";
  out.append(element("b", "", b.name), " ", element("span", `state ${b.state}`, b.state.replace("_", " ") + where));
  return out;
}

// charts

function shape(tag, attributes) {
  const out = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) out.setAttribute(name, value);
  return out;
}

function roundUp(value) { // to what can be halved in the head
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= value);
}

// Scales: of these values, no finer than `least` → the ticks, lowest first, and value → height, 0 to 1.

function linear(values, least) {
  const top = roundUp(Math.max(least, ...values));
  return { ticks: [0, top / 2, top], part: (v) => v / top };
}

function decades(values, least) { // by powers of ten: a millisecond is to be seen beside a minute
  const power = (v) => Math.log10(Math.max(v, least));
  const low = Math.floor(power(Math.min(...values)));
  const high = Math.max(low + 2, Math.ceil(power(Math.max(...values))));
  const step = Math.ceil((high - low) / 5);
  const ticks = [];
  for (let n = low; n <= high; n += step) ticks.push(10 ** n);
  return { ticks, part: (v) => (power(v) - low) / (high - low) };
}

class Chart {
  // series: [index into a point, class, name]; shade: point → values between which it is shaded; say: value → text
  constructor(id, title, series, shade, scale, least, say) {
    Object.assign(this, { box: $(`${id}-chart`), at: $(`${id}-at`), title, series, shade, scale, least, say, cursor: null });
    this.box.addEventListener("pointermove", (event) => this.point(event));
    this.box.addEventListener("pointerleave", () => { this.cursor = null; this.draw(); });
  }

  point(event) {
    const { left, width } = this.box.getBoundingClientRect();
    this.cursor = Math.min(1, Math.max(0, (event.clientX - left) / width));
    this.draw();
  }

  draw() {
    const seen = points.flatMap((p) => this.series.map(([i]) => p[i])).filter((v) => v !== null);
    const { ticks, part } = this.scale(seen.length ? seen : [this.least], this.least);
    const wide = Math.max(points.length, FEWEST);
    const place = (n) => ((wide - points.length + n) / (wide - 1)) * 1000;
    const height = (v) => 100 - part(v) * 96;
    const svg = shape("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img" });
    const last = points.at(-1);
    svg.setAttribute("aria-label", `${this.title}, last ${since(wide)}${last ? `; now ${this.words(last)}` : ""}`);
    const parts = [svg, element("span", "from", `${since(wide)} ago`), element("span", "to", "now")];
    for (const value of seen.length ? ticks : ticks.slice(0, 1)) {
      svg.append(shape("line", { class: "grid", x1: 0, x2: 1000, y1: height(value), y2: height(value), "vector-effect": "non-scaling-stroke" }));
      if (!seen.length) continue;
      const tick = element("span", "tick", tidy(this.say(value)));
      tick.style.top = `${height(value)}%`;
      parts.push(tick);
    }
    if (!seen.length) parts.push(element("span", "empty", points.length ? "nothing ran" : "waiting for the first seconds …"));
    const runs = [[]];
    points.forEach((p, n) => (p[this.series[0][0]] === null ? runs.push([]) : runs.at(-1).push([place(n), p])));
    for (const run of runs.filter((r) => r.length)) {
      const dot = run.length === 1 ? " dot" : "";
      if (dot) run.push(run[0]);
      const path = (value) => run.map(([x, p]) => `${x.toFixed(1)} ${height(value(p)).toFixed(2)}`);
      const area = [...path((p) => this.shade(p)[1]), ...path((p) => this.shade(p)[0]).reverse()];
      svg.append(shape("path", { class: "area", d: `M${area.join("L")}Z` }));
      for (const [i, name] of this.series) {
        svg.append(shape("path", { class: `line ${name}${dot}`, d: `M${path((p) => p[i]).join("L")}`, "vector-effect": "non-scaling-stroke" }));
      }
    }
    this.show(svg, place);
    this.box.replaceChildren(...parts);
  }

  show(svg, place) {
    const n = this.cursor === null ? -1 : points.findIndex((_, i) => place(i) >= this.cursor * 1000);
    if (n >= 0) {
      svg.append(shape("line", { class: "cursor", x1: place(n), x2: place(n), y1: 0, y2: 100, "vector-effect": "non-scaling-stroke" }));
      this.at.textContent = `${new Date(points[n][0] * 1000).toLocaleTimeString()}  ${this.words(points[n])}`;
    } else {
      this.at.textContent = "";
    }
  }

  words(p) {
    return this.series.map(([i, , name]) => `${name} ${p[i] === null ? "–" : this.say(p[i])}`).join(", ");
  }
}

const charts = [
  new Chart("rate", "Tasks a second", [[1, "a", "accepted"], [2, "b", "done"]], (p) => [0, p[2]], linear, 10, rate),
  new Chart("wait", "Wait before the start", [[5, "a", "p99"], [4, "b", "p50"]], (p) => [p[4], p[5]], decades, 1000, waited),
  new Chart("run", "Run", [[7, "a", "p99"], [6, "b", "p50"]], (p) => [p[6], p[7]], decades, 1, ran),
];

// dead letters

let shownLetters = 50;
let deadSeen = null;

async function ask(path, options) {
  const answer = await fetch(path, options);
  const isJson = answer.headers.get("content-type") === "application/json";
  const body = isJson ? await answer.json() : { error: await answer.text() };
  if (!answer.ok) throw new Error(body.error);
  return body;
}

const addressOf = (l) => `/api/dead/${encodeURIComponent(l.app)}/${encodeURIComponent(l.id)}`;

let asked = 0;
async function loadLetters() {
  const mine = ++asked;
  try {
    const { letters, more } = await ask(`/api/dead?limit=${shownLetters}`);
    if (mine !== asked) return; // a later answer is on its way, and knows more
    arrange(letters);
    $("no-letters").hidden = letters.length > 0;
    $("more").hidden = !more;
    put("dead-note", letters.length ? `${letters.length}${more ? ", the oldest of more" : ""}` : "");
  } catch (error) {
    say(error.message);
  }
}

// A letter that stays is not touched: moving it would take the focus from it.
function arrange(letters) {
  const list = $("letters");
  const ids = new Set(letters.map((l) => l.id ?? ""));
  for (const item of [...list.children]) if (!ids.has(item.dataset.id)) item.remove();
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  let place = list.firstElementChild;
  for (const l of letters) {
    const item = known.get(l.id ?? "") ?? letterItem(l);
    if (item === place) place = place.nextElementSibling;
    else list.insertBefore(item, place);
  }
}

function age(when) {
  const text = `${since(Date.now() / 1000 - when.dataset.at)} ago`;
  if (when.textContent !== text) when.textContent = text;
}

function letterItem(l) {
  const item = element("li");
  item.dataset.id = l.id ?? "";
  const details = element("details");
  const summary = element("summary");
  const when = element("span", "when");
  when.dataset.at = l.dead_at;
  when.title = new Date(l.dead_at * 1000).toLocaleString();
  age(when);
  summary.append(element("span", "task", l.task), element("span", "reason", l.reason), when);
  const body = element("div", "letter");
  details.append(summary, body);
  details.addEventListener("toggle", () => details.open && !body.hasChildNodes() && openLetter(l, body, item));
  item.append(details);
  return item;
}

async function openLetter(l, body, item) {
  if (l.id === null) {
    body.append(element("p", "none", "This frame cannot be read. `ttp dead drop --all` removes it with all others."));
    return;
  }
  try {
    const full = await ask(addressOf(l));
    body.append(element("code", "", `${l.app} · ${full.id}`));
    for (const [title, text] of [["arguments", full.payload], ["reason", full.reason], ["traceback", full.traceback]]) {
      if (!text) continue;
      const block = element("pre", "", text);
      block.tabIndex = 0;
      body.append(element("h3", "", title), block);
    }
    if (state?.allow_actions) body.append(actions(l, item));
  } catch (error) {
    say(error.message);
  }
}

function actions(l, item) {
  const box = element("div", "actions");
  const retry = element("button", "retry", "Retry");
  const drop = element("button", "drop danger", "Drop …");
  retry.addEventListener("click", () => act(l, item, "retry"));
  drop.addEventListener("click", async () => (await sure(`Drop ${l.task}? It is gone for good.`)) && act(l, item, "drop"));
  box.append(retry, drop);
  return box;
}

function sure(question) {
  const dialog = $("sure");
  $("sure-text").textContent = question;
  return new Promise((resolve) => {
    const end = (answer) => { resolve(answer); dialog.close(); };
    $("sure-yes").onclick = () => end(true);
    $("sure-no").onclick = () => end(false);
    dialog.onclose = () => dialog.open || resolve(false); // Escape; the event may come when it is open once more
    dialog.showModal();
  });
}

async function act(l, item, action) {
  const buttons = item.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    await ask(`${addressOf(l)}/${action}`, { method: "POST" });
    say(action === "retry" ? `${l.task} is back in its queue.` : `${l.task} is dropped.`);
    const next = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("summary");
    item.remove();
    (next ?? $("h-dead")).focus();
  } catch (error) {
    say(error.message);
    for (const button of buttons) button.disabled = false;
  }
  await loadLetters();
}

let saidTimer = 0;
function say(text) {
  $("said").textContent = text;
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => { $("said").textContent = ""; }, 8000);
}

// all of it

function alarm(text) {
  put("alarm", text);
  $("alarm").hidden = !text;
}

function show(next) {
  state = next;
  const { server } = state;
  $("server").dataset.state = server.up === null ? "unknown" : server.up ? "up" : "down";
  put("server-text", server.up ? `${server.name} · ${server.url}` : server.up === null ? "connecting …" : `no server · ${server.url}`);
  put("scope", state.app ? `· ${state.app}` : "");
  alarm(server.up === false ? `The server cannot be reached: ${server.error}. What is shown is what was last seen; trying again every second.` : "");
  if (!state.totals) return;
  document.title = `${rate(state.rates.done)}/s · ttp`;
  put("f-done", rate(state.rates.done));
  put("f-accepted", rate(state.rates.accepted));
  put("f-tasks", total(state.totals.tasks));
  const [wait, unit] = duration(state.p99_us);
  put("f-p99", wait);
  put("f-p99-unit", unit);
  put("f-workers", whole.format(state.workers.filter((w) => w.state !== "lost").length));
  put("f-dead", whole.format(state.totals.dead));
  $("f-dead-box").classList.toggle("some", state.totals.dead > 0);
  fill("queues", "no-queues", state.queues.map(queueRow));
  fill("workers", "no-workers", state.workers.map(workerRow));
  $("breakers-box").hidden = state.breakers.length === 0;
  $("breakers").replaceChildren(...state.breakers.map(breakerItem));
  if (state.point && state.point[0] !== points.at(-1)?.[0]) points = [...points, state.point].slice(-KEPT);
  for (const chart of charts) chart.draw();
  for (const when of $("letters").querySelectorAll(".when")) age(when);
  const dead = `${state.totals.dead} ${state.totals.dead_frames}`;
  if (dead !== deadSeen && server.up) {
    deadSeen = dead;
    loadLetters();
  }
}

function theme(name) {
  document.documentElement.dataset.theme = name;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
theme(localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light"));
dark.addEventListener("change", () => localStorage.getItem("theme") ?? theme(dark.matches ? "dark" : "light"));
$("theme").addEventListener("click", () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", next);
  theme(next);
});
$("more").addEventListener("click", () => { shownLetters += 100; loadLetters(); });
$("h-dead").tabIndex = -1;
if (location.search) history.replaceState(null, "", location.pathname); // the token is a cookie by now

const events = new EventSource("/api/events");
events.addEventListener("history", (event) => { points = JSON.parse(event.data); });
events.addEventListener("message", (event) => show(JSON.parse(event.data)));
events.addEventListener("error", () => {
  $("server").dataset.state = "down";
  put("server-text", "not connected");
  alarm("ttp ui does not answer: it has ended, or the network is gone. The page goes on by itself once it is back.");
});
