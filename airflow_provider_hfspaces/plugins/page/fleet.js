// The fleet page: loads the data from the server, and searches and sorts the Spaces.
"use strict";

const ROWS_PER_PAGE = 100;
const REFRESH_MILLISECONDS = 30000;
const TYPING_MILLISECONDS = 80;
const state = { columns: [], fleets: [], runs: null, sort: "cost", descending: true, refreshing: false };
const find = (id) => document.getElementById(id);

class Refused extends Error {}

async function requestJson(path, options = {}) {
  const response = await fetch(path, { credentials: "same-origin", ...options });
  let body = null;
  try {
    body = await response.json();
  } catch {
    // not JSON: a proxy may have answered with a page of its own
  }
  if (response.ok && body !== null) return body;
  if (response.status === 401) throw new Refused("You are logged out of Airflow. Reload the page to log in.");
  const detail = typeof body?.detail === "string" ? body.detail : `Airflow answered ${response.status}.`;
  if (response.status === 403) {
    throw new Refused(`You may not do this: it needs access to Airflow's connections. (${detail})`);
  }
  throw new Error(detail);
}

// A parameter, because a connection id may hold anything: a path with "../" would lead elsewhere.
function ofConnection(path, fleet) {
  return `${path}?connection_id=${encodeURIComponent(fleet.conn_id)}`;
}

// Reading

async function refresh() {
  if (state.refreshing) return;
  state.refreshing = true;
  find("refresh").disabled = true;
  try {
    const { columns, connections } = await requestJson("api/connections");
    useColumns(columns);
    const old = new Map(state.fleets.map((fleet) => [fleet.conn_id, fleet]));
    state.fleets = connections.map((connection) => (
      { spaces: null, problems: [], page: 0, ...old.get(connection.conn_id), ...connection }
    ));
    build();
    await Promise.all([loadRuns(), ...state.fleets.flatMap((fleet) => [load(fleet), loadSpend(fleet)])]);
    const at = new Date().toLocaleTimeString();
    report(state.fleets.length ? `As of ${at}. Costs are estimates from the Hub's list prices.` : "");
  } catch (error) {
    if (error instanceof Refused) {
      state.fleets = [];
      build();
    }
    complain(error);
  } finally {
    state.refreshing = false;
    find("refresh").disabled = false;
    find("fleets").removeAttribute("aria-busy");
  }
}

async function load(fleet) {
  if (fleet.problem) return;
  try {
    const answer = await requestJson(ofConnection("api/fleet", fleet));
    fleet.failure = answer.problem ?? null;
    fleet.problems = answer.problems ?? [];
    fleet.owners = answer.owners ?? [];
    fleet.spaces = answer.spaces ?? (answer.problem ? [] : null);
    for (const space of fleet.spaces ?? []) space.key = `${fleet.conn_id} ${space.repo_id}`;
    addRuns(fleet);
    addLeases(fleet);
  } catch (error) {
    fleet.failure = error.message;
    fleet.spaces = [];
  }
  fill(fleet);
  showTotal();
  await loadLeases(fleet);
}

async function loadLeases(fleet) {
  if (!fleet.spaces?.length) return;
  try {
    const answer = await requestJson(ofConnection("api/leases", fleet));
    fleet.leases = new Map(answer.leases.map((lease) => [lease.repo_id, lease]));
  } catch {
    return; // the fleet is worth showing without its leases
  }
  addLeases(fleet);
  fill(fleet);
}

async function loadSpend(fleet) {
  if (fleet.problem) return;
  try {
    fleet.spend = (await requestJson(ofConnection("api/spend", fleet))).spend;
  } catch {
    return; // the fleet is worth showing without its budgets
  }
  showSpend(fleet);
}

function addLeases(fleet) {
  for (const space of fleet.spaces ?? []) space.lease = fleet.leases?.get(space.repo_id) ?? null;
}

async function loadRuns() {
  try {
    const answer = await requestJson("api/runs");
    state.runs = new Map();
    for (const run of answer.runs) {
      const key = `${run.endpoint} ${run.repo_id}`;
      if (!state.runs.has(key)) state.runs.set(key, []);
      state.runs.get(key).push(run);
    }
  } catch {
    state.runs ??= new Map(); // the fleets are worth showing without their runs
  }
  for (const fleet of state.fleets) {
    addRuns(fleet);
    if (fleet.spaces) fill(fleet);
  }
}

function addRuns(fleet) {
  if (!state.runs) return;
  for (const space of fleet.spaces ?? []) {
    space.runs = state.runs.get(`${fleet.endpoint} ${space.repo_id.toLowerCase()}`) ?? [];
  }
}

// Showing

function useColumns(columns) {
  if (state.columns.length) return;
  state.columns = columns;
  for (const column of columns) {
    for (const [descending, arrow] of [[false, "↑"], [true, "↓"]]) {
      find("sort").append(make("option", { value: `${column.key} ${descending}` }, `${column.label} ${arrow}`));
    }
  }
  find("sort").value = `${state.sort} ${state.descending}`;
}

function report(text) {
  find("status").textContent = text;
}

function complain(error) {
  report("");
  const main = find("fleets");
  main.querySelector(":scope > .problem")?.remove();
  main.prepend(make("p", { class: "problem", role: "alert" }, error.message));
}

function build() {
  const main = find("fleets");
  const wanted = new Set(state.fleets.map((fleet) => fleet.conn_id));
  for (const section of [...main.children]) {
    if (!wanted.has(section.dataset.connId)) section.remove();
  }
  for (const fleet of state.fleets) {
    let section = [...main.children].find((child) => child.dataset.connId === fleet.conn_id);
    if (!section || section.dataset.mayPause !== String(fleet.may_pause)) {
      section?.remove();
      section = frame(fleet);
    }
    main.append(section);
    fleet.section = section;
    fill(fleet);
  }
  if (!state.fleets.length) {
    find("total").textContent = "";
    main.append(make("p", { class: "quiet" }, "There is no connection of type Hugging Face Spaces that you may read. A connection in a secrets backend shows here if [hf_spaces] fleet_connections names it."));
  }
  showTotal();
}

function frame(fleet) {
  const id = `fleet-${state.fleets.indexOf(fleet)}`;
  const section = make("section", { "aria-labelledby": id });
  section.dataset.connId = fleet.conn_id;
  section.dataset.mayPause = String(fleet.may_pause);
  const headers = state.columns.map((column) => {
    const button = make("button", { type: "button" }, column.label);
    button.addEventListener("click", () => sortBy(column));
    const header = make("th", { scope: "col", role: "columnheader", class: column.number ? "number" : "" }, button);
    header.dataset.column = column.key;
    return header;
  });
  if (fleet.may_pause) {
    headers.push(make("th", { scope: "col", role: "columnheader" }, make("span", { class: "hidden" }, "Actions")));
  }
  const pager = make("nav", { class: "pager", hidden: true, "aria-label": `Pages of ${fleet.conn_id}` });
  for (const [text, step] of [["Previous", -1], ["Next", 1]]) {
    const button = make("button", { type: "button", "data-step": step }, text);
    button.addEventListener("click", () => turn(section, step));
    pager.append(button);
  }
  pager.append(make("span", { class: "quiet", "aria-live": "polite" }));
  section.append(
    make("div", { class: "head" }, make("h2", { id }, fleet.conn_id), make("p", { class: "quiet" })),
    make("div", { class: "spend" }),
    make("div", { class: "problems" }),
    make("div", { class: "leases" }),
    make(
      "table",
      { class: "spaces", role: "table", hidden: true },
      make("caption", {}, `Spaces of connection ${fleet.conn_id}`),
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...headers)),
      make("tbody", { role: "rowgroup" }),
    ),
    make("p", { class: "quiet none", hidden: true, role: "status" }),
    pager,
  );
  return section;
}

function fill(fleet) {
  const { section } = fleet;
  const problem = fleet.problem ?? fleet.failure;
  const problems = problem ? [problem] : fleet.problems;
  section.querySelector(".problems").replaceChildren(...problems.map((text) => make("p", { class: "problem" }, text)));
  showSpend(fleet);
  showLeases(fleet);
  const search = find("search").value.trim();
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const column = state.columns.find((candidate) => candidate.key === state.sort) ?? state.columns[0];
  const matching = (fleet.spaces ?? []).filter((space) => matches(space, words));
  const spaces = sorted(matching, column, state.descending);
  const pages = Math.max(1, Math.ceil(spaces.length / ROWS_PER_PAGE));
  fleet.page = Math.min(fleet.page, pages - 1);
  const first = fleet.page * ROWS_PER_PAGE;
  const shown = spaces.slice(first, first + ROWS_PER_PAGE);

  const table = section.querySelector("table.spaces");
  table.hidden = !shown.length;
  for (const header of table.querySelectorAll("th[data-column]")) {
    const isSorted = header.dataset.column === column.key;
    if (isSorted) header.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    else header.removeAttribute("aria-sort");
  }
  const focused = document.activeElement?.dataset?.key;
  const pauseIt = (space) => confirmPause(fleet, space);
  const rows = shown.map((space) => row(space, state.columns, fleet.may_pause, pauseIt));
  table.querySelector("tbody").replaceChildren(...rows);
  if (focused && document.activeElement === document.body) {
    [...table.querySelectorAll("[data-key]")].find((element) => element.dataset.key === focused)?.focus();
  }

  const none = section.querySelector(".none");
  none.hidden = problem !== null && problem !== undefined || fleet.spaces === null || shown.length > 0;
  none.textContent = words.length && fleet.spaces?.length
    ? `No Space of connection ${fleet.conn_id} matches “${search}”.`
    : `Connection ${fleet.conn_id} shows no Spaces.`;

  const pager = section.querySelector(".pager");
  pager.hidden = pages === 1;
  pager.querySelector("[data-step='-1']").disabled = fleet.page === 0;
  pager.querySelector("[data-step='1']").disabled = fleet.page === pages - 1;
  pager.querySelector("span").textContent = `${whole.format(first + 1)}–${whole.format(first + shown.length)} of ${whole.format(spaces.length)}`;
  section.querySelector(".head p").textContent = headline(fleet, spaces.length, words.length > 0);
}

function headline(fleet, matching, searching) {
  if (fleet.problem || fleet.failure) return "";
  if (fleet.spaces === null) return "Loading …";
  const owners = fleet.owners?.length ? ` of ${fleet.owners.join(", ")}` : "";
  const matches = searching ? `, ${whole.format(matching)} found` : "";
  const later = costWhenBuilt(fleet.spaces);
  return `${counted(fleet.spaces.length, "Space")}${owners}${matches}: ${usd.format(cost(fleet.spaces))} per hour` +
    (later > 0 ? `, and ${usd.format(later)} more when the builds are done` : "");
}

function counted(number, word) {
  return `${whole.format(number)} ${word}${number === 1 ? "" : "s"}`;
}

function cost(spaces) {
  return spaces.reduce((sum, space) => sum + (space.cost ?? 0), 0);
}

function costWhenBuilt(spaces) {
  return spaces.reduce((sum, space) => sum + (space.starting ? space.cost_running ?? 0 : 0), 0);
}

// A Space that two connections show is billed once.
function distinctSpaces() {
  const byId = new Map();
  for (const fleet of state.fleets) {
    for (const space of fleet.spaces ?? []) byId.set(`${fleet.endpoint} ${space.repo_id}`, space);
  }
  return [...byId.values()];
}

function showTotal() {
  const spaces = distinctSpaces();
  const loading = state.fleets.some((fleet) => !fleet.problem && fleet.spaces === null);
  if (!state.fleets.length || (loading && !spaces.length)) return;
  const billed = spaces.filter((space) => space.billed).length;
  const unpriced = spaces.filter((space) => space.billed && space.cost === null).length;
  const starting = spaces.filter((space) => space.starting).length;
  const text = `per hour, for ${whole.format(billed)} billed of ${counted(spaces.length, "Space")}` +
    (unpriced ? `, ${whole.format(unpriced)} of them without a list price` : "") +
    (starting ? `; ${usd.format(costWhenBuilt(spaces))} more when ${counted(starting, "build")} ${starting === 1 ? "is" : "are"} done` : "") +
    (loading ? ", still counting" : "");
  find("total").replaceChildren(make("strong", {}, usd.format(cost(spaces))), text);
}

// Acting

function sortBy(column) {
  const descending = state.sort === column.key ? !state.descending : column.descending;
  useSort(column.key, descending);
}

function useSort(key, descending) {
  [state.sort, state.descending] = [key, descending];
  find("sort").value = `${key} ${descending}`;
  showFirstPages();
}

function showFirstPages() {
  for (const fleet of state.fleets) {
    fleet.page = 0;
    fill(fleet);
  }
}

function turn(section, step) {
  const fleet = state.fleets.find((candidate) => candidate.section === section);
  fleet.page += step;
  fill(fleet);
  section.scrollIntoView({ block: "start" });
}

// Airflow's frame lets no link out of it, so an anchor in the page around the frame is clicked instead.
function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || parent === window || event.defaultPrevented || event.button > 1) return;
  try {
    const outer = parent.document.createElement("a");
    outer.href = link.href;
    if (link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1) {
      outer.target = "_blank";
      outer.rel = "noreferrer";
    }
    event.preventDefault();
    outer.click();
  } catch {
    // another site frames the page: the browser follows the link as it can
  }
}

find("sort").addEventListener("change", () => {
  const [key, descending] = find("sort").value.split(" ");
  useSort(key, descending === "true");
});
let typing = 0;
find("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showFirstPages, TYPING_MILLISECONDS);
});
find("refresh").addEventListener("click", refresh);
document.addEventListener("click", follow);
document.addEventListener("auxclick", follow);
setInterval(() => document.visibilityState === "visible" && refresh(), REFRESH_MILLISECONDS);
refresh();
