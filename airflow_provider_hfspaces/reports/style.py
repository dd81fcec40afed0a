"""How a page looks: light or dark as the reader's system is, in one column on a phone."""

from __future__ import annotations

from airflow_provider_hfspaces.reports.markup import Markup

__all__ = ["STYLE"]

STYLE = Markup("""
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1f2937; --soft: #5b6472;
  --line: #dfe3e8; --bar: #b7791f; --track: #eef0f3; --link: #1d4ed8; --warn: #9a3412; --warn-back: #fff7ed; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0f1318; --card: #171c23; --ink: #e6e9ee; --soft: #9aa4b2; --line: #2b333d;
    --bar: #ffd21e; --track: #252c35; --link: #8ab4ff; --warn: #fdba74; --warn-back: #2a1d10; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
p { margin: .25rem 0 .75rem; } p:last-child { margin-bottom: 0; }
.soft, caption, small { color: var(--soft); } small { font-size: .85rem; }
a { color: var(--link); } a, td { unicode-bidi: isolate; overflow-wrap: break-word; }
a, li, td small { overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem;
  margin: 1rem 0 0; overflow-x: auto; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1rem 0 0; overflow-x: auto; }
.numbers div { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: .75rem 1rem; }
.numbers b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.numbers span { color: var(--soft); font-size: .9rem; }
.findings { list-style: none; margin: 0; padding: 0; }
.findings li { border-left: 4px solid var(--warn); background: var(--warn-back); border-radius: .4rem;
  padding: .5rem .75rem; margin: .5rem 0 0; }
.findings .cost { float: right; margin-left: 1rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .5rem; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0;
  border-bottom: 1px solid var(--line); }
th { font-size: .85rem; color: var(--soft); font-weight: 600; }
.number { text-align: right; white-space: nowrap; padding-right: 1.5rem; }
tfoot td { font-weight: 600; border-bottom: 0; }
tr > :last-child { padding-right: 0; white-space: nowrap; } tr > :first-child { min-width: 11rem; }
.stage { font-size: .85rem; } .stage small { display: block; }
details { margin-top: .75rem; } summary { cursor: pointer; padding: .25rem 0; }
.chart { display: block; margin-bottom: .75rem; } .chart text { fill: var(--ink); font-size: 14px; }
.chart .value { font-weight: 600; }
.chart .small { fill: var(--soft); font-size: 12px; } .chart .bar { fill: var(--bar); }
.chart .track { fill: var(--track); } .chart .area { fill: var(--bar); opacity: .18; }
.chart .line { fill: none; stroke: var(--bar); stroke-width: 2; vector-effect: non-scaling-stroke; }
.chart .axis { stroke: var(--soft); } .chart .grid { stroke: var(--line); stroke-dasharray: 3 4; }
footer { margin-top: 1.5rem; color: var(--soft); font-size: .9rem; }
@media (max-width: 56rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tfoot, tr, td, caption { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; } tbody tr:last-child { border-bottom: 0; }
  td { border: 0; padding: .1rem 0; display: flex; justify-content: space-between; gap: 1rem;
    text-align: right; }
  td::before { content: attr(data-label); color: var(--soft); text-align: left; white-space: nowrap; }
  td:first-child { display: block; text-align: left; font-weight: 600; }
  td:first-child::before, td:empty { display: none; }
  .number { white-space: normal; padding-right: 0; } tfoot tr { border-top: 1px solid var(--line); }
}
""")
