// How a Space looks: columns, their order, and the cells of a row. Text goes in as text, never as HTML.
"use strict";

const GOOD = new Set(["RUNNING"]);
const BUSY = new Set(["BUILDING", "APP_STARTING", "RUNNING_BUILDING", "RUNNING_APP_STARTING", "DELETING"]);
const BAD = new Set(["BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "NO_APP_FILE"]);
const DORMANT = new Set(["PAUSED", "STOPPED", "SLEEPING"]);
const usd = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const whole = new Intl.NumberFormat("en-US");

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((each) => each !== null && each !== undefined));
  return element;
}

function stageKind(stage) {
  if (GOOD.has(stage)) return "good";
  if (BUSY.has(stage)) return "busy";
  if (BAD.has(stage)) return "bad";
  return DORMANT.has(stage) ? "rest" : "";
}

function duration(seconds) {
  if (seconds === null) return "never";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  }
  return seconds >= 3600 ? `${(seconds / 3600).toFixed(1)} h` : `${seconds} s`;
}

function ago(moment) {
  const seconds = Math.max(0, (Date.now() - moment) / 1000);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return "just now";
}

function modifiedCell(space) {
  const moment = Date.parse(space.modified ?? "");
  if (Number.isNaN(moment)) return ["–"];
  const said = new Date(moment);
  return [make("time", { dateTime: space.modified, title: said.toLocaleString() }, ago(moment))];
}

function costCell(space) {
  if (space.cost === null) {
    const known = space.stage !== null;
    return [make("span", { title: known ? "The Hub lists no price for this hardware" : "" }, known ? "no price" : "–")];
  }
  if (space.cost > 0) return [make("span", { class: "costs" }, usd.format(space.cost))];
  const later = space.cost_running > 0 ? make("small", {}, `${usd.format(space.cost_running)} when running`) : null;
  return [make("span", {}, usd.format(0)), later];
}

function hardwareCell(space) {
  const now = space.hardware ?? space.requested;
  const parts = [make("span", {}, now ?? (space.sdk === "static" ? "static" : "–"))];
  if (space.replicas > 1) parts.push(make("span", { class: "tag" }, `${space.replicas} replicas`));
  if (space.hardware && space.requested && space.hardware !== space.requested) {
    parts.push(make("small", {}, `${space.requested} requested`));
  }
  return parts;
}

function runsCell(space) {
  if (!space.runs) return [make("span", { class: "quiet" }, "…")];
  if (!space.runs.length) return ["–"];
  const shown = space.runs.slice(0, 2).map((run) => {
    const text = run.run_id === null ? `${run.dag_id} (no run yet)` : `${run.dag_id} · ${run.state ?? "?"}`;
    const link = make("a", { href: runUrl(run), title: `${run.dag_id} ${run.run_id ?? ""} ${run.task_id}` }, text);
    return make("li", {}, link);
  });
  const more = space.runs.length - shown.length;
  if (more > 0) shown.push(make("li", { class: "quiet" }, `and ${more} more`));
  return [make("ul", { class: "runs" }, ...shown)];
}

// The path of Airflow itself, which may have one before its own pages.
function airflowRoot() {
  return location.pathname.slice(0, location.pathname.lastIndexOf("/hf_spaces/"));
}

function runUrl(run) {
  const dag = `${airflowRoot()}/dags/${encodeURIComponent(run.dag_id)}`;
  return run.run_id === null ? dag : `${dag}/runs/${encodeURIComponent(run.run_id)}`;
}

const COLUMNS = [
  { key: "name", label: "Space", by: (space) => space.repo_id.toLowerCase() },
  { key: "stage", label: "Stage", by: (space) => space.stage ?? "" },
  { key: "hardware", label: "Hardware", by: (space) => space.hardware ?? space.requested ?? "" },
  { key: "cost", label: "Cost per hour", number: true, by: (space) => space.cost ?? -1 },
  { key: "sleep", label: "Sleeps after", by: (space) => space.sleep_time ?? Infinity },
  { key: "modified", label: "Last change", by: (space) => space.modified ?? "" },
  { key: "runs", label: "DAG runs", by: (space) => space.runs?.length ?? 0 },
];

function cells(space) {
  const free = space.stage === null || space.sdk === "static";
  return {
    name: [
      make("a", { href: space.url, target: "_blank", rel: "noreferrer", "data-key": `${space.key} open` }, space.repo_id),
      space.private ? make("span", { class: "tag" }, "private") : null,
    ],
    stage: [
      make("span", { class: `stage ${stageKind(space.stage)}` }, space.stage ?? "unknown"),
      space.error ? make("small", {}, space.error) : null,
    ],
    hardware: hardwareCell(space),
    cost: costCell(space),
    sleep: [free ? "–" : duration(space.sleep_time)],
    modified: modifiedCell(space),
    runs: runsCell(space),
  };
}

const NOTHING_TO_PAUSE = new Set([null, "PAUSED", "DELETING", "NO_APP_FILE", "CONFIG_ERROR"]);

function pausable(space) {
  return space.sdk !== "static" && !NOTHING_TO_PAUSE.has(space.stage);
}

function row(space, mayPause, pause) {
  const made = cells(space);
  const line = make("tr", { role: "row" });
  for (const column of COLUMNS) {
    const cell = make("td", {
      class: `${column.key === "name" ? "name" : ""} ${column.number ? "number" : ""}`.trim(),
      role: "cell",
      "data-label": column.label,
    });
    cell.append(make("div", {}, ...made[column.key].filter((each) => each !== null)));
    line.append(cell);
  }
  if (mayPause) {
    const cell = make("td", { class: "act", role: "cell", "data-label": "" });
    if (pausable(space)) {
      const label = `Pause ${space.repo_id}`;
      const button = make("button", { type: "button", "aria-label": label, "data-key": `${space.key} pause` }, "Pause");
      button.addEventListener("click", () => pause(space));
      cell.append(button);
    }
    line.append(cell);
  }
  return line;
}

function matches(space, words) {
  const text = `${space.repo_id} ${space.stage ?? ""} ${space.hardware ?? ""} ${space.requested ?? ""} ${space.sdk ?? ""}`;
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

function sorted(spaces, key, descending) {
  const by = COLUMNS.find((column) => column.key === key).by;
  const sign = descending ? -1 : 1;
  const name = COLUMNS[0].by;
  return spaces.slice().sort((a, b) => {
    const x = by(a), y = by(b);
    if (x !== y) return x < y ? -sign : sign;
    return name(a) < name(b) ? -1 : 1;
  });
}
