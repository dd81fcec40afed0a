// The fleet page: asks the server, sorts and searches what it says, and pauses Spaces.
"use strict";

const PAGE = 100;
const EVERY = 30000;
const state = { fleets: [], runs: null, sort: "cost", descending: true, asking: false };
const find = (id) => document.getElementById(id);

class Refused extends Error {}

async function ask(path, options = {}) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  let said = null;
  try {
    said = await answer.json();
  } catch {
    // a proxy's own page, say
  }
  if (answer.ok && said !== null) return said;
  if (answer.status === 401) throw new Refused("You are logged out of Airflow. Reload the page to log in.");
  const detail = typeof said?.detail === "string" ? said.detail : `Airflow answered ${answer.status}.`;
  if (answer.status === 403) throw new Refused(`You may not do that: it needs access to Airflow's connections. (${detail})`);
  throw new Error(detail);
}

function path(conn_id) {
  return conn_id.split("/").map(encodeURIComponent).join("/");
}

// What the server knows

async function refresh() {
  if (state.asking) return;
  state.asking = true;
  find("refresh").disabled = true;
  try {
    const { connections } = await ask("api/connections");
    const old = new Map(state.fleets.map((fleet) => [fleet.conn_id, fleet]));
    state.fleets = connections.map((each) => ({ spaces: null, problems: [], page: 0, ...old.get(each.conn_id), ...each }));
    build();
    await Promise.all([runs(), ...state.fleets.map(load)]);
    const at = new Date().toLocaleTimeString();
    say(state.fleets.length ? `As of ${at}. Costs are estimates from the Hub's list prices.` : "");
  } catch (error) {
    if (error instanceof Refused) {
      state.fleets = [];
      build();
    }
    complain(error);
  } finally {
    state.asking = false;
    find("refresh").disabled = false;
    find("fleets").removeAttribute("aria-busy");
  }
}

async function load(fleet) {
  if (fleet.problem) return;
  try {
    const said = await ask(`api/fleet/${path(fleet.conn_id)}`);
    fleet.failure = said.problem ?? null;
    fleet.problems = said.problems ?? [];
    fleet.owners = said.owners ?? [];
    fleet.spaces = said.spaces ?? (said.problem ? [] : null);
    for (const space of fleet.spaces ?? []) space.key = `${fleet.conn_id} ${space.repo_id}`;
    join(fleet);
  } catch (error) {
    fleet.failure = error.message;
    fleet.spaces = [];
  }
  fill(fleet);
  total();
}

async function runs() {
  try {
    const said = await ask("api/runs");
    state.runs = new Map();
    for (const run of said.runs) {
      const key = `${run.endpoint} ${run.repo_id}`;
      if (!state.runs.has(key)) state.runs.set(key, []);
      state.runs.get(key).push(run);
    }
  } catch {
    state.runs ??= new Map(); // the fleets are worth showing without
  }
  for (const fleet of state.fleets) {
    join(fleet);
    if (fleet.spaces) fill(fleet);
  }
}

function join(fleet) {
  if (!state.runs) return;
  for (const space of fleet.spaces ?? []) {
    space.runs = state.runs.get(`${fleet.endpoint} ${space.repo_id.toLowerCase()}`) ?? [];
  }
}

// What is shown

function say(text) {
  find("status").textContent = text;
}

function complain(error) {
  say("");
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
    let section = [...main.children].find((each) => each.dataset.connId === fleet.conn_id);
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
    main.append(make("p", { class: "quiet" }, "There is no connection of the type Hugging Face Spaces that you may read. One in a secrets backend shows here when [hf_spaces] fleet_connections names it."));
  }
  total();
}

function frame(fleet) {
  const id = `fleet-${state.fleets.indexOf(fleet)}`;
  const section = make("section", { "aria-labelledby": id });
  section.dataset.connId = fleet.conn_id;
  section.dataset.mayPause = String(fleet.may_pause);
  const headers = COLUMNS.map((column) => {
    const button = make("button", { type: "button" }, column.label);
    button.addEventListener("click", () => sortBy(column.key));
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
    make("div", { class: "problems" }),
    make(
      "table",
      { role: "table", hidden: true },
      make("caption", {}, `Spaces of the connection ${fleet.conn_id}`),
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...headers)),
      make("tbody", { role: "rowgroup" }),
    ),
    pager,
  );
  return section;
}

function fill(fleet) {
  const { section } = fleet;
  const problem = fleet.problem ?? fleet.failure;
  const problems = [...(problem ? [problem] : []), ...(problem ? [] : fleet.problems)];
  section.querySelector(".problems").replaceChildren(...problems.map((text) => make("p", { class: "problem" }, text)));
  const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = fleet.spaces ?? [];
  const found = sorted(all.filter((space) => matches(space, words)), state.sort, state.descending);
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  fleet.page = Math.min(fleet.page, pages - 1);
  const first = fleet.page * PAGE;
  const shown = found.slice(first, first + PAGE);

  const table = section.querySelector("table");
  table.hidden = !shown.length;
  for (const header of table.querySelectorAll("th[data-column]")) {
    const own = header.dataset.column === state.sort;
    if (own) header.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    else header.removeAttribute("aria-sort");
  }
  const focused = document.activeElement?.dataset?.key;
  const rows = shown.map((space) => row(space, fleet.may_pause, (each) => confirmPause(fleet, each)));
  table.querySelector("tbody").replaceChildren(...rows);
  if (focused && document.activeElement === document.body) {
    [...table.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus();
  }

  const pager = section.querySelector(".pager");
  pager.hidden = pages === 1;
  pager.querySelector("[data-step='-1']").disabled = fleet.page === 0;
  pager.querySelector("[data-step='1']").disabled = fleet.page === pages - 1;
  pager.querySelector("span").textContent = `${whole.format(first + 1)}–${whole.format(first + shown.length)} of ${whole.format(found.length)}`;
  section.querySelector(".head p").textContent = headline(fleet, found.length, words.length > 0);
}

function headline(fleet, found, searching) {
  if (fleet.problem || fleet.failure) return "";
  if (fleet.spaces === null) return "Asking the Hub …";
  const of = fleet.owners?.length ? ` of ${fleet.owners.join(", ")}` : "";
  const count = `${counted(fleet.spaces.length, "Space")}${of}`;
  const found_ = searching ? `, ${whole.format(found)} found` : "";
  return `${count}${found_}: ${usd.format(cost(fleet.spaces))} per hour`;
}

function counted(number, word) {
  return `${whole.format(number)} ${word}${number === 1 ? "" : "s"}`;
}

function cost(spaces) {
  return spaces.reduce((sum, space) => sum + (space.cost ?? 0), 0);
}

// A Space that two connections see is paid for once.
function each() {
  const seen = new Map();
  for (const fleet of state.fleets) {
    for (const space of fleet.spaces ?? []) seen.set(`${fleet.endpoint} ${space.repo_id}`, space);
  }
  return [...seen.values()];
}

function total() {
  const spaces = each();
  const loading = state.fleets.some((fleet) => !fleet.problem && fleet.spaces === null);
  if (!state.fleets.length || (loading && !spaces.length)) return;
  const billed = spaces.filter((space) => space.billed).length;
  const unpriced = spaces.filter((space) => space.billed && space.cost === null).length;
  const text = `per hour, for ${whole.format(billed)} billed of ${counted(spaces.length, "Space")}` +
    (unpriced ? `, ${whole.format(unpriced)} of them without a list price` : "") + (loading ? ", still counting" : "");
  find("total").replaceChildren(make("strong", {}, usd.format(cost(spaces))), text);
}

// What somebody does

function sortBy(key) {
  if (state.sort === key) state.descending = !state.descending;
  else [state.sort, state.descending] = [key, key === "cost" || key === "runs" || key === "modified"];
  find("sort").value = `${state.sort} ${state.descending}`;
  for (const fleet of state.fleets) {
    fleet.page = 0;
    fill(fleet);
  }
}

function turn(section, step) {
  const fleet = state.fleets.find((each) => each.section === section);
  fleet.page += step;
  fill(fleet);
  section.scrollIntoView({ block: "start" });
}

function confirmPause(fleet, space) {
  const dialog = find("confirm");
  find("confirm-title").textContent = `Pause ${space.repo_id}?`;
  find("confirm-text").textContent =
    `It is ${space.stage}${space.cost > 0 ? ` and costs about ${usd.format(space.cost)} per hour` : ""}. ` +
    "Paused, it answers nobody and costs nothing, until somebody restarts it.";
  const working = (space.runs ?? []).filter((run) => run.state === "running" || run.state === "queued");
  find("confirm-runs").hidden = !working.length;
  find("confirm-runs").textContent = `At work on it now: ${working.map((run) => run.dag_id).join(", ")}.`;
  dialog.returnValue = "no";
  dialog.addEventListener("close", () => dialog.returnValue === "yes" && pause(fleet, space), { once: true });
  dialog.showModal();
}

async function pause(fleet, space) {
  say(`Pausing ${space.repo_id} …`);
  try {
    const said = await ask(`api/pause/${path(fleet.conn_id)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-HF-Spaces-Page": "1" },
      body: JSON.stringify({ repo_id: space.repo_id }),
    });
    Object.assign(space, said.space);
    fill(fleet);
    total();
    say(`${space.repo_id} is ${space.stage}.`);
    find("search").focus();
  } catch (error) {
    say(`${space.repo_id} was not paused. ${error.message}`);
  }
}

// Airflow's frame lets no link out of it: an anchor of the page around it does.
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
    // framed by somebody else: the browser does what it can
  }
}

for (const column of COLUMNS) {
  for (const [descending, arrow] of [[false, "↑"], [true, "↓"]]) {
    find("sort").append(make("option", { value: `${column.key} ${descending}` }, `${column.label} ${arrow}`));
  }
}
find("sort").value = "cost true";
find("sort").addEventListener("change", () => {
  const [key, descending] = find("sort").value.split(" ");
  [state.sort, state.descending] = [key, descending !== "true"];
  state.sort = key;
  sortBy(key);
});
let typing = 0;
find("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    for (const fleet of state.fleets) {
      fleet.page = 0;
      fill(fleet);
    }
  }, 80);
});
find("refresh").addEventListener("click", refresh);
document.addEventListener("click", follow);
document.addEventListener("auxclick", follow);
setInterval(() => document.visibilityState === "visible" && refresh(), EVERY);
refresh();
