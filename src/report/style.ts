/** The report's style sheet: light and dark, screen and print. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --ink: #1d1f24; --soft: #666b76; --rule: #e4e2dd; --wash: #f3f1ec;
  --s0: #d9480f; --s1: #0b7285; --s2: #5f3dc4; --s3: #2b8a3e; --s4: #a61e4d;
  --truth: #12a594; --prediction: #f76707; --wave: #8a8f9c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121317; --card: #1a1c22; --ink: #e9e8e4; --soft: #9a9fab; --rule: #2c2f38; --wash: #22252d;
    --s0: #ff8a4c; --s1: #3bc9db; --s2: #9775fa; --s3: #69db7c; --s4: #f783ac;
    --truth: #20c9b5; --prediction: #ff922b; --wave: #717784;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 "Inter", "Segoe UI", system-ui, -apple-system, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-font-smoothing: antialiased;
}
main { max-width: 1120px; margin: 0 auto; padding: 56px 32px 72px; }
header { border-bottom: 1px solid var(--rule); padding-bottom: 28px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.02em; font-weight: 680; margin: 0 0 10px; text-wrap: balance; }
.lead { font-size: 17px; color: var(--soft); margin: 0; max-width: 70ch; }
h2 { font-size: 21px; letter-spacing: -0.01em; font-weight: 650; margin: 52px 0 6px; }
.note { color: var(--soft); margin: 0 0 16px; max-width: 80ch; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 14px; margin-top: 28px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 16px 18px 14px; }
.tile .label { color: var(--soft); font-size: 13px; }
.tile .value { font-size: 32px; line-height: 1.2; letter-spacing: -0.02em; font-weight: 640; }
.tile .under { color: var(--soft); font-size: 12.5px; line-height: 1.4; }
.tile:first-child .value { color: var(--s0); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 16px; margin-top: 20px; }
.chart { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; margin: 0; padding: 16px 18px 14px; min-width: 0; }
.chart figcaption { font-weight: 600; margin-bottom: 8px; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.chart .caption, .chart .empty { color: var(--soft); font-size: 13px; margin: 12px 0 0; }
.grid { stroke: var(--rule); stroke-width: 1; }
.mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
.tick, .axis { fill: var(--soft); font-size: 11.5px; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.line.faint { stroke-width: 1; opacity: 0.28; }
.name { font-size: 12px; font-weight: 600; }
.name .last { font-weight: 400; }
.s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); } .s4 { stroke: var(--s4); }
.name.s0, .dot.s0 { fill: var(--s0); } .name.s1, .dot.s1 { fill: var(--s1); } .name.s2, .dot.s2 { fill: var(--s2); }
.name.s3, .dot.s3 { fill: var(--s3); } .name.s4, .dot.s4 { fill: var(--s4); }
.name { stroke: none; } .dot { stroke: var(--card); stroke-width: 1.5; }
.bars { display: grid; gap: 12px; padding: 6px 0 2px; }
.bar { display: grid; grid-template-columns: minmax(110px, 34%) 1fr 52px; align-items: center; gap: 14px; }
.bar-label small { display: block; color: var(--soft); font-size: 12px; line-height: 1.3; }
.bar-track { background: var(--wash); border-radius: 5px; height: 18px; }
.bar-fill { display: block; height: 100%; border-radius: 5px; min-width: 2px; }
.f0 { background: var(--s0); } .f1 { background: var(--s1); } .f2 { background: var(--s2); } .f3 { background: var(--s3); } .f4 { background: var(--s4); }
.bar-value { font-weight: 600; text-align: right; }
.clips { display: grid; gap: 16px; }
.clip { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 18px 12px; break-inside: avoid; }
.clip-head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 14px; margin-bottom: 10px; }
.clip-head b { font-weight: 620; overflow-wrap: anywhere; }
.clip-head .category { color: var(--soft); }
.clip-head .metrics { margin-left: auto; color: var(--soft); font-size: 13.5px; }
.clip-head .metrics strong { color: var(--ink); font-weight: 640; margin-left: 5px; }
.film { display: grid; grid-template-columns: 74px minmax(0, 1fr); gap: 6px 12px; align-items: center; }
.film .row-name { font-size: 12px; line-height: 1.25; color: var(--soft); text-align: right; overflow-wrap: anywhere; }
.film .row-name small { display: block; font-weight: 600; }
.film .row-name i { display: inline-block; width: 9px; height: 9px; border-radius: 2.5px; margin-right: 6px; }
.film .row-name .truth { background: var(--truth); } .film .row-name .prediction { background: var(--prediction); }
.frames { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 5px; }
.frames img, .frames .none { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 6px; background: var(--wash); }
.frames .none { display: grid; place-items: center; color: var(--soft); font-size: 12px; }
.frames.times { color: var(--soft); font-size: 11.5px; line-height: 1; text-align: center; }
.sound { position: relative; height: 40px; }
.sound svg { display: block; width: 100%; height: 100%; }
.sound .silent { position: absolute; inset: 0; display: grid; place-items: center; color: var(--soft); font-size: 12px; }
.second { stroke: var(--rule); stroke-width: 1; }
.wave { fill: var(--wave); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 10px; font-size: 12.5px; color: var(--soft); }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; border: 1px solid var(--rule); }
.table-wrap { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 8px 16px; border-bottom: 1px solid var(--rule); vertical-align: baseline; }
tr:last-child td { border-bottom: 0; }
th { font-size: 12.5px; font-weight: 600; color: var(--soft); white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.meter { min-width: 150px; }
.meter-in { display: grid; grid-template-columns: 1fr 46px; gap: 10px; align-items: center; }
.meter-in .rail { background: var(--wash); border-radius: 4px; height: 8px; }
.meter-in .rail span { display: block; height: 100%; border-radius: 4px; background: var(--s1); }
td .tag { font-size: 11.5px; font-weight: 600; padding: 2px 8px; border-radius: 99px; background: var(--wash); color: var(--soft); white-space: nowrap; }
td .tag.published { color: var(--s0); } td .tag.corrected { color: var(--s1); }
details > summary { cursor: pointer; list-style-position: outside; margin: 52px 0 12px; }
details > summary h2 { display: inline; }
details > summary .note { display: inline; margin-left: 10px; }
.environment { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 6px 24px; margin: 12px 0 0; font-size: 13.5px; }
.environment dt { color: var(--soft); } .environment dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 640px) {
  main { padding: 32px 16px; } .charts { grid-template-columns: 1fr; } .film { grid-template-columns: 1fr; } .film .row-name { text-align: left; }
}
@media print { main { max-width: none; padding: 0; } .tile, .chart, .clip, .table-wrap { break-inside: avoid; } }
`;
