"""The start page: the fleet, its bill and the last requests, live."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, Response

from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.prices import price_per_minute
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import answer
from airflow_provider_hfspaces.emulator.routes.routing import Route
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.stages import BILLED_STAGES, ERROR_STAGES, STARTING_STAGES, SpaceStage

__all__ = ["ROUTES"]

_MOST_SPACES = 200
_LAST_REQUESTS = 20


def _fleet(call: Call) -> Response:
    """What the page shows: ``q`` narrows the Spaces down to those whose id, stage or hardware holds it."""
    world, wanted = call.world, call.query.get("q", "").lower()
    spaces = [space.catch_up() for space in world.spaces.values()]
    matching = [space for space in spaces if wanted in _text(space)]
    rows = sorted(matching, key=lambda space: (-_micro_per_hour(space), space.repo_id))
    bill = world.bill()
    return answer(
        {
            "at": iso(world.clock.now()),
            "speed": world.clock.speed,
            "spaces": len(spaces),
            "matching": len(matching),
            "usd_per_hour": round(sum(map(_micro_per_hour, spaces)) / 1_000_000, 3),
            "usd_so_far": round(bill.total_usd, 4),
            "requests_seen": world.requests_seen,
            "faults": len(world.faults),
            "rows": [_row(space) for space in rows[:_MOST_SPACES]],
            "requests": [
                {
                    "at": iso(each.time),
                    "method": each.method,
                    "path": each.path,
                    "status": each.status,
                    "by": each.token_name or each.user or "nobody",
                    "fault": each.fault,
                }
                for each in list(world.requests)[-_LAST_REQUESTS:][::-1]
            ],
        }
    )


def _row(space: Space) -> dict[str, Any]:
    view = space.view()
    return {
        "id": space.repo_id,
        "stage": view.stage,
        "kind": _kind(view.stage),
        "hardware": view.hardware or "—",
        "requested": view.requested if view.requested != view.hardware else None,
        "sleep_time": space.sleep_time,
        "replicas": space.replicas,
        "usd_per_hour": round(_micro_per_hour(space) / 1_000_000, 3),
        "error": view.error_message,
        "since": iso(space.history[-1].time),
    }


def _text(space: Space) -> str:
    return f"{space.repo_id} {space.stage} {space.hardware} {space.requested}".lower()


def _kind(stage: str) -> str:
    if stage in ERROR_STAGES:
        return "error"
    if stage in STARTING_STAGES:
        return "starting"
    return "running" if stage == SpaceStage.RUNNING else "resting"


def _micro_per_hour(space: Space) -> int:
    hardware = space.hardware or space.requested
    if space.stage not in BILLED_STAGES or hardware is None or hardware in FREE_HARDWARE:
        return 0
    return price_per_minute(hardware) * 60 * space.replicas


def _page(call: Call) -> Response:
    return HTMLResponse(_PAGE)


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>An emulated Hub</title>
<style>
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { max-width: 76rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; opacity: .8; }
.numbers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.numbers div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem; min-width: 8rem; }
.numbers b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
input { font: inherit; padding: .4rem .6rem; width: min(22rem, 100%); border: 1px solid var(--line); border-radius: .4rem; background: transparent; color: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; opacity: .75; } td.number, th.number { text-align: right; }
.stage { padding: .05rem .5rem; border-radius: 1rem; font-size: .85em; font-weight: 600; }
.running { background: #1a7f37; color: #fff; } .starting { background: #9a6700; color: #fff; }
.error { background: #cf222e; color: #fff; } .resting { background: color-mix(in srgb, currentColor 14%, transparent); }
small { opacity: .75; } #stale { color: #cf222e; font-weight: 600; } a { color: inherit; }
</style>
<h1>An emulated Hub</h1>
<p>Nothing here costs money. <span id="stale" role="status"></span></p>
<div class="numbers" id="numbers"></div>
<label>Spaces <input id="q" type="search" placeholder="narrow down by id, stage or hardware" autocomplete="off"></label>
<p id="shown"></p>
<div class="scroll"><table><thead><tr><th>Space<th>Stage<th>Hardware<th>Sleeps<th class="number">USD/h<th>Since</tr></thead><tbody id="rows"></tbody></table></div>
<h2>Last requests</h2>
<div class="scroll"><table><thead><tr><th>At<th>Request<th>Status<th>By</tr></thead><tbody id="requests"></tbody></table></div>
<script>
const $ = id => document.getElementById(id);
const element = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};
const row = cells => {
  const made = element("tr");
  for (const cell of cells) made.append(cell instanceof Node ? cell : element("td", cell));
  return made;
};
const time = iso => iso.slice(0, 19).replace("T", " ");
function show(told) {
  const numbers = [["emulated time", time(told.at)], ["speed", told.speed + " times"], ["Spaces", told.spaces],
    ["USD per hour now", told.usd_per_hour.toFixed(2)], ["USD so far", told.usd_so_far.toFixed(4)],
    ["requests", told.requests_seen], ["faults", told.faults]];
  $("numbers").replaceChildren(...numbers.map(([name, value]) => {
    const box = element("div", name); box.prepend(element("b", value)); return box; }));
  $("shown").textContent = told.matching > told.rows.length ?
    `The ${told.rows.length} dearest of ${told.matching}.` : `${told.matching} of ${told.spaces}.`;
  $("rows").replaceChildren(...told.rows.map(space => {
    const name = element("td"), link = element("a", space.id);
    link.href = "/spaces/" + space.id; name.append(link);
    const stage = element("td"); stage.append(element("span", space.stage, "stage " + space.kind));
    if (space.error) stage.append(" ", element("small", space.error));
    const hardware = space.hardware + (space.requested ? " → " + space.requested : "") +
      (space.replicas > 1 ? " x " + space.replicas : "");
    const sleeps = space.sleep_time === null ? "never" : space.sleep_time + " s";
    return row([name, stage, hardware, sleeps,
      element("td", space.usd_per_hour ? space.usd_per_hour.toFixed(2) : "", "number"), time(space.since)]);
  }));
  $("requests").replaceChildren(...told.requests.map(each => row([time(each.at), each.method + " " + each.path,
    (each.status || "no answer") + (each.fault ? " (" + each.fault + ")" : ""), each.by])));
}
async function look() {
  try {
    const answer = await fetch("/_emulator/fleet?q=" + encodeURIComponent($("q").value));
    show(await answer.json());
    $("stale").textContent = "";
  } catch { $("stale").textContent = "The emulator does not answer any more."; }
}
$("q").addEventListener("input", look);
look();
setInterval(() => document.hidden || look(), 1000);
</script></html>
"""

ROUTES = [Route("GET", "/", _page), Route("GET", "/_emulator/fleet", _fleet)]
