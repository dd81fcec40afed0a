// The cells of the fleet page: one function for each kind of column that plugins/columns.py names.
// Text from the Hub is added as text, never as HTML.
"use strict";

const usd = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const whole = new Intl.NumberFormat("en-US");
const FIRST_RUNS = 2;

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
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

// How long ago, with the exact time for the pointer; null if the text is not a time.
function timeElement(text) {
  const moment = Date.parse(text ?? "");
  if (Number.isNaN(moment)) return null;
  return make("time", { dateTime: text, title: new Date(moment).toLocaleString() }, ago(moment));
}

function spaceCell(space) {
  const open = { href: space.url, target: "_blank", rel: "noreferrer", "data-key": `${space.key} open` };
  return [
    make("a", open, space.repo_id),
    space.private ? make("span", { class: "tag" }, "private") : null,
  ];
}

function stageCell(space) {
  return [
    make("span", { class: `stage ${space.stage_kind}` }, space.stage ?? "unknown"),
    space.error ? make("small", {}, space.error) : null,
  ];
}

function hardwareCell(space) {
  const parts = [make("span", {}, space.hardware ?? space.requested ?? (space.static ? "static" : "–"))];
  if (space.replicas > 1) parts.push(make("span", { class: "tag" }, `${space.replicas} replicas`));
  if (space.hardware && space.requested && space.hardware !== space.requested) {
    parts.push(make("small", {}, `${space.requested} requested`));
  }
  if (space.lease) parts.push(leaseLine(space.lease));
  return parts;
}

// Who has leased the Space, since when. The run is named to users who may read its DAG.
function leaseLine(lease) {
  const named = lease.dag_id !== null;
  const link = { href: named ? runUrl(lease) : "", title: `${lease.run_id} ${lease.task_id}` };
  const holder = named ? make("a", link, lease.dag_id) : "a run that is not shown here";
  const stateNote = lease.releasable ? `, ${LEASE_STATES[lease.state]}` : "";
  return make("small", {}, "leased ", timeElement(lease.since) ?? "", " by ", holder, stateNote);
}

function costCell(space) {
  if (space.cost === null) {
    const known = space.stage !== null;
    return [make("span", { title: known ? "The Hub lists no price for this hardware" : "" }, known ? "no price" : "–")];
  }
  if (space.cost > 0) return [make("span", { class: "costs" }, usd.format(space.cost))];
  const when = space.starting ? "when the build is done" : "when running";
  const later = space.cost_running > 0 ? make("small", {}, `${usd.format(space.cost_running)} ${when}`) : null;
  return [make("span", {}, usd.format(0)), later];
}

function durationCell(space, value) {
  return [space.stage === null || space.static ? "–" : duration(value)];
}

function timeCell(space, value) {
  return [timeElement(value) ?? "–"];
}

function runsCell(space) {
  if (!space.runs) return [make("span", { class: "quiet" }, "…")];
  if (!space.runs.length) return ["–"];
  const list = make("ul", { class: "runs" }, ...space.runs.map(runItem));
  const hidden = [...list.children].slice(openRuns.has(space.key) ? space.runs.length : FIRST_RUNS);
  for (const item of hidden) item.hidden = true;
  if (!hidden.length) return [list];
  const label = `Show ${hidden.length} more runs of ${space.repo_id}`;
  const more = { type: "button", class: "link", "aria-label": label, "data-key": `${space.key} runs` };
  const button = make("button", more, `and ${hidden.length} more`);
  button.addEventListener("click", () => {
    openRuns.add(space.key);
    for (const item of hidden) item.hidden = false;
    button.remove();
    hidden[0].querySelector("a").focus();
  });
  return [list, button];
}

// The Spaces whose runs are all shown, so that a refresh does not hide them again.
const openRuns = new Set();

function runItem(run) {
  const text = run.run_id === null ? `${run.dag_id} (no run yet)` : `${run.dag_id} · ${run.state ?? "?"}`;
  const link = make("a", { href: runUrl(run), title: `${run.dag_id} ${run.run_id ?? ""} ${run.task_id}` }, text);
  const time = timeElement(run.at);
  return make("li", {}, link, time);
}

// Airflow may be served under a path of its own.
function airflowRoot() {
  return location.pathname.slice(0, location.pathname.lastIndexOf("/hf_spaces/"));
}

function runUrl(run) {
  const dag = `${airflowRoot()}/dags/${encodeURIComponent(run.dag_id)}`;
  return run.run_id === null ? dag : `${dag}/runs/${encodeURIComponent(run.run_id)}`;
}

const CELLS = {
  space: spaceCell,
  stage: stageCell,
  hardware: hardwareCell,
  cost: costCell,
  duration: durationCell,
  time: timeCell,
  runs: runsCell,
  text: (space, value) => [value === null ? "–" : String(value)],
};

function row(space, columns, mayPause, pause) {
  const line = make("tr", { role: "row" });
  for (const column of columns) {
    const cell = make("td", {
      class: `${column.kind === "space" ? "name" : ""} ${column.number ? "number" : ""}`.trim(),
      role: "cell",
      "data-label": column.label,
    });
    const content = (CELLS[column.kind] ?? CELLS.text)(space, space[column.key]);
    cell.append(make("div", {}, ...content));
    line.append(cell);
  }
  if (mayPause) {
    const cell = make("td", { class: "act", role: "cell", "data-label": "" });
    if (space.pausable) {
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
  const text = [space.repo_id, space.stage, space.hardware, space.requested, space.sdk].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

// What a column sorts by. A Space that never sleeps comes after those that do.
function sortValue(space, column) {
  const value = space[column.key];
  if (column.kind === "runs") return value?.length ?? 0;
  if (column.kind === "hardware") return value ?? space.requested ?? "";
  if (column.kind === "duration") return value ?? Infinity;
  if (column.number) return value ?? -1;
  return String(value ?? "").toLowerCase();
}

function sorted(spaces, column, descending) {
  const sign = descending ? -1 : 1;
  return spaces.slice().sort((a, b) => {
    const x = sortValue(a, column), y = sortValue(b, column);
    if (x !== y) return x < y ? -sign : sign;
    return a.repo_id.toLowerCase() < b.repo_id.toLowerCase() ? -1 : 1;
  });
}
