import { basename } from 'node:path';
import { formatBytes, formatCount, formatInteger } from './format.js';
import {
  type AxisFacts,
  byWeight,
  type FamilyFacts,
  type Inspection,
  reasonOf,
  type WeightAxisFacts,
} from './inspection.js';

/**
 * Draws an inspection as one HTML page that needs nothing else: the axes of all weights as bars, what can be removed in
 * the colour of its family, what is pinned in grey with the reason. Axes of one colour lose their channels together.
 */
export function inspectionPage(inspection: Inspection): string {
  const { path, opset, producer, params, macs, bytes, families, weights } = inspection;
  const number = new Map(families.map((f, i) => [f.name, i]));
  const units = families.reduce((sum, f) => sum + f.units, 0);
  const facts = [
    `opset ${opset}`,
    producer && `made by ${producer}`,
    `${formatInteger(params)} parameters`,
    `${formatCount(macs)} MACs a sample`,
    formatBytes(bytes),
    `${formatInteger(units)} removable units in ${families.length} families`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(basename(path) || 'model')}: what can be removed</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(basename(path) || 'model')}</h1>
<p>${facts.filter(Boolean).map(escaped).join(' · ')}</p>
<p>${ports('in', inspection.inputs)}<br>${ports('out', inspection.outputs)}</p>
<h2>Weights</h2>
<p class="note">A bar for every axis: <span class="key removable"></span> can be removed, one colour for each family of
units that go together (point at one to see where else); <span class="key grouped"></span> goes as its groups do;
<span class="key pinned"></span> stays.</p>
<div class="weights">${[...byWeight(weights)].map(([name, axes]) => card(name, axes, number)).join('\n')}</div>
<h2>Families</h2>
${families.length > 0 ? `<div class="scroll"><table><thead><tr><th></th><th>units of</th><th>units</th><th>parameters</th><th>MACs</th><th>made by</th><th>read by</th></tr></thead>\n<tbody>${families.map(familyRow).join('\n')}</tbody></table></div>` : '<p>There are no removable units.</p>'}
${list(
  'Trained',
  inspection.trained.filter((t) => t.trained).map((t) => `${t.name}: ${t.why}`),
)}
${list(
  'Not trained',
  inspection.trained.filter((t) => !t.trained).map((t) => `${t.name}: ${t.why}`),
)}
${list('Notes', inspection.notes)}
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function card(name: string, axes: readonly WeightAxisFacts[], number: ReadonlyMap<string, number>): string {
  const bars = axes.map((axis) => bar(axis, number)).join('');
  const reasons = new Map<string, number[]>();
  for (const { axis, pinned } of axes)
    for (const p of pinned) reasons.set(reasonOf(p), [...(reasons.get(reasonOf(p)) ?? []), axis]);
  const why = [...reasons].map(
    ([text, at]) => `<div class="why">${at.length > 1 ? 'axes' : 'axis'} ${at.join(', ')}: ${escaped(text)}</div>`,
  );
  return `<div class="card"><div class="name" title="${escaped(name)}">${escaped(name)}</div><div class="shape">[${axes[0].shape.join(', ')}]</div>${bars}${why.join('')}</div>`;
}

function bar(facts: WeightAxisFacts, number: ReadonlyMap<string, number>): string {
  const { axis, shape, removable, units, families, blockwise, pinned } = facts;
  const size = shape[axis];
  const part = (indices: number, kind: string, style: string, title: string, of = '') =>
    `<i class="${kind}" style="flex:${indices};${style}" title="${escaped(title)}"${of}></i>`;
  const each = removable / Math.max(1, families.length);
  const parts = [
    ...families.map((f) => {
      const n = number.get(f) ?? 0;
      const title = `${families.length === 1 ? removable : 'some'} of ${size} indices go with units of ${f}`;
      return part(each, 'removable', `background:${colour(n)}`, title, ` data-family="${n}"`);
    }),
    ...(families.length === 0 && removable > 0
      ? [part(removable, 'removable', 'background:#9ec5ab', `${removable} of ${size} can go`)]
      : []),
    ...(blockwise > 0
      ? [part(blockwise, 'grouped', '', `${blockwise} of ${size} go as the channels of their groups`)]
      : []),
    ...pinned.map((p) => part(p.indices, 'pinned', '', `${p.indices} of ${size} stay: ${reasonOf(p)}`)),
  ];
  const can = removable + blockwise;
  const count = units > 0 && units !== removable ? `${can}/${size} (${units} units)` : `${can}/${size}`;
  return `<div class="axis"><span>axis ${axis}</span><div class="bar">${parts.join('')}</div><span>${count}</span></div>`;
}

function familyRow(family: FamilyFacts, n: number): string {
  const axes = (list: readonly AxisFacts[]) =>
    list.map((a) => `${escaped(a.weight)}<small>[${a.axis}]</small>`).join(', ');
  const cells = [
    `<td><i class="key" style="background:${colour(n)}"></i></td>`,
    `<td>${escaped(family.name)}</td>`,
    `<td class="n">${formatInteger(family.units)}</td>`,
    `<td class="n">${formatCount(family.params)}</td>`,
    `<td class="n">${formatCount(family.macs)}</td>`,
    `<td>${axes(family.makes)}</td>`,
    `<td>${axes(family.reads)}</td>`,
  ];
  return `<tr data-family="${n}">${cells.join('')}</tr>`;
}

function ports(direction: string, list: Inspection['inputs']): string {
  return list
    .map((p) => `${direction}: <b>${escaped(p.name)}</b> ${escaped(p.dtype)} [${escaped(p.shape.join(', '))}]`)
    .join('<br>');
}

function list(title: string, entries: readonly string[]): string {
  if (entries.length === 0) return '';
  return `<h2>${title}</h2>\n<ul>${entries.map((entry) => `<li>${escaped(entry)}</li>`).join('\n')}</ul>`;
}

/** Neighbours get hues far apart: steps of the golden angle. */
function colour(n: number): string {
  return `hsl(${Math.round((n * 137.508 + 140) % 360)} 60% ${n % 2 === 0 ? 42 : 56}%)`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const STYLE = `
body { font: 14px/1.45 system-ui, sans-serif; color: #1f2933; margin: 24px auto; max-width: 1200px; padding: 0 16px; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 28px 0 8px; } p { margin: 4px 0; }
.note, .shape, .why, small { color: #52606d; }
.weights { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 10px; margin-top: 10px; align-items: start; }
.card { border: 1px solid #d9e2ec; border-radius: 6px; padding: 8px 10px; min-width: 0; }
.name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.shape { font-size: 12px; }
.axis { display: flex; gap: 8px; align-items: center; font-size: 12px; margin-top: 4px; white-space: nowrap; }
.bar { display: flex; flex: 1; height: 14px; border-radius: 3px; overflow: hidden; gap: 1px; background: #fff; min-width: 40px; }
.bar i { display: block; min-width: 2px; }
.pinned { background: #c3cbd3; } .grouped { background: repeating-linear-gradient(45deg, #7b8794 0 4px, #dfe5eb 4px 8px); }
.why { font-size: 11px; margin-top: 3px; overflow-wrap: anywhere; }
.key { display: inline-block; width: 14px; height: 12px; border-radius: 3px; vertical-align: -1px; }
.key.removable { background: linear-gradient(90deg, ${[0, 1, 2].map(colour).join(', ')}); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; } th { text-align: left; font-weight: 600; }
th, td { padding: 3px 10px 3px 0; vertical-align: top; border-bottom: 1px solid #e4e7eb; overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; }
.dim [data-family]:not(.on) { opacity: 0.15; }
tr.on { background: #f0f4f8; }
@media (max-width: 500px) { body { margin: 12px auto; } }
`;

/** Pointing at a family shows all that goes with it. */
const SCRIPT = `
for (const part of document.querySelectorAll('[data-family]')) {
  const same = () => document.querySelectorAll('[data-family="' + part.dataset.family + '"]');
  part.addEventListener('mouseenter', () => {
    document.body.classList.add('dim');
    for (const other of same()) other.classList.add('on');
  });
  part.addEventListener('mouseleave', () => {
    document.body.classList.remove('dim');
    for (const other of same()) other.classList.remove('on');
  });
}
`;
