// What the owners of a fleet have spent this month, and the table of leases: who has which Space, since when, at what cost.
"use strict";

const LEASE_STATES = {
  "at work": "the run is at work",
  unknown: "another Airflow, or a run that this Airflow does not know",
  abandoned: "the run could not restore the Space",
  expired: "the lease has expired",
  over: "the run is over",
  stopped: "the DAG is paused or gone",
};
const LEASE_COLUMNS = ["Space", "Leased by", "Since", "Hardware", "Cost so far", "State"];

function showSpend(fleet) {
  const entries = fleet.spend ?? [];
  fleet.section?.querySelector(".spend").replaceChildren(...entries.map(spendEntry));
}

function spendEntry(entry) {
  if (entry.usd === null) {
    const text = `${entry.owner}: a budget of ${usd.format(entry.budget)} a month. The amount spent is not known.`;
    return make("p", { class: "quiet", title: entry.problem ?? "" }, text);
  }
  const amount = make("strong", {}, usd.format(entry.usd));
  const source = make("small", { class: "quiet", title: entry.problem ?? "" }, ` (${entry.in_words})`);
  if (entry.budget === null) return make("p", {}, `${entry.owner}: `, amount, " this month", source);
  const share = entry.usd / entry.budget;
  const percent = `${Math.round(share * 100)}%`;
  const filled = make("div", { class: "filled" });
  filled.style.width = `${Math.min(share, 1) * 100}%`;
  const bar = {
    class: `bar ${entry.status}`,
    role: "meter",
    "aria-label": `Budget of ${entry.owner}`,
    "aria-valuemin": "0",
    "aria-valuemax": String(entry.budget),
    "aria-valuenow": String(Math.min(entry.usd, entry.budget)),
    "aria-valuetext": `${usd.format(entry.usd)} of ${usd.format(entry.budget)}, ${percent}`,
  };
  const spent = entry.status === "exceeded" ? make("span", { class: "over" }, "The budget is spent.") : null;
  return make(
    "div",
    { class: "budget" },
    make("p", {}, `${entry.owner}: `, amount, ` of ${usd.format(entry.budget)} this month, ${percent}`, source, " ", spent),
    make("div", bar, filled),
  );
}

function showLeases(fleet) {
  const leases = [...(fleet.leases?.values() ?? [])];
  const place = fleet.section?.querySelector(".leases");
  if (!place) return;
  const focused = document.activeElement?.dataset?.key;
  const parts = leases.length ? [make("h3", {}, "Leases"), leaseTable(fleet, leases), make("h3", {}, "Spaces")] : [];
  place.replaceChildren(...parts);
  if (focused && document.activeElement === document.body) {
    [...place.querySelectorAll("[data-key]")].find((element) => element.dataset.key === focused)?.focus();
  }
}

function leaseTable(fleet, leases) {
  leases.sort((a, b) => b.releasable - a.releasable || (a.since < b.since ? -1 : 1));
  const heads = LEASE_COLUMNS.map((label) => make("th", { scope: "col", role: "columnheader" }, make("span", {}, label)));
  if (fleet.may_pause) {
    heads.push(make("th", { scope: "col", role: "columnheader" }, make("span", { class: "hidden" }, "Actions")));
  }
  return make(
    "table",
    { role: "table" },
    make("caption", {}, `Leases of connection ${fleet.conn_id}`),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
    make("tbody", { role: "rowgroup" }, ...leases.map((lease) => leaseRow(fleet, lease))),
  );
}

function leaseRow(fleet, lease) {
  const space = fleet.spaces?.find((each) => each.repo_id === lease.repo_id);
  const cells = [
    space ? make("a", { href: space.url, target: "_blank", rel: "noreferrer" }, lease.repo_id) : lease.repo_id,
    leaseHolder(lease),
    timeElement(lease.since) ?? "–",
    lease.hardware ?? "–",
    leaseCost(lease),
    make("span", { class: `stage ${lease.releasable ? "bad" : "good"}` }, LEASE_STATES[lease.state] ?? lease.state),
  ];
  const row = make("tr", { role: "row" });
  for (const [number, content] of cells.entries()) {
    const cell = { class: number ? "" : "name", role: "cell", "data-label": LEASE_COLUMNS[number] };
    row.append(make("td", cell, make("div", {}, content)));
  }
  if (fleet.may_pause) {
    const cell = make("td", { class: "act", role: "cell", "data-label": "" });
    if (lease.releasable) {
      const key = `${fleet.conn_id} ${lease.repo_id} release`;
      const label = `Release ${lease.repo_id}`;
      const button = make("button", { type: "button", "aria-label": label, "data-key": key }, "Release");
      button.addEventListener("click", () => confirmRelease(fleet, lease));
      cell.append(button);
    }
    row.append(cell);
  }
  return row;
}

// The run is named to users who may read its DAG.
function leaseHolder(lease) {
  if (lease.dag_id === null) return "a run that is not shown here";
  return make("a", { href: runUrl(lease), title: `${lease.run_id} ${lease.task_id}` }, `${lease.dag_id} · ${lease.run_id}`);
}

function leaseCost(lease) {
  if (lease.cost === null) return make("span", { title: "The Hub lists no price for this hardware" }, "no price");
  const minutes = Math.round(lease.billed_seconds / 60);
  const title = `${whole.format(minutes)} billed minutes at most, at list prices`;
  return make("span", { class: lease.cost > 0 ? "costs" : "", title }, usd.format(lease.cost));
}
