import { readFileSync } from 'node:fs';
import { digits, formatInteger } from '../../src/report/format.js';
import type { Row } from './result.js';

/*
 * `node dist/bench/zoo/table.js out/zoo-strip.json out/zoo-gradients.json`: results as Markdown, one row per architecture with
 * its files side by side.
 */

interface Results {
  readonly mode: 'strip' | 'gradients';
  readonly models: readonly Row[];
}

const results = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')) as Results);
const rowsOf = (mode: Results['mode']) => results.filter((r) => r.mode === mode).flatMap((r) => r.models);
const stripped = new Map(rowsOf('strip').map((row) => [row.name, row]));
const graded = new Map(rowsOf('gradients').map((row) => [row.name, row]));
const names = [...new Set([...stripped.keys(), ...graded.keys()].map((name) => name.replace(/\.\w+$/, '')))].sort();
const flavours = [...new Set([...stripped.keys()].map((name) => name.split('.').at(-1)!))].sort();

const head = ['model', 'parameters', ...flavours.map((f) => `gone, ${f}`), 'worst difference', 'gradients'];
const lines = names.map((name) => {
  const own = flavours.map((flavour) => stripped.get(`${name}.${flavour}`));
  const before = own.find((row) => row?.params)?.params?.before;
  const worst = own.flatMap((row) => row?.worst ?? []);
  return [
    name,
    before === undefined ? '' : formatInteger(before),
    ...own.map(shareOf),
    worst.length > 0 ? digits(Math.max(...worst)) : '',
    gradientsOf(flavours.map((flavour) => graded.get(`${name}.${flavour}`)).find((row) => row !== undefined)),
  ];
});
for (const line of [head, head.map((_, i) => (i === 0 ? '---' : '--:')), ...lines])
  console.log(`| ${line.join(' | ')} |`);

function shareOf(row: Row | undefined): string {
  if (!row) return '';
  if (row.outcome !== 'ok' || !row.params) return row.outcome;
  return `${(100 * (1 - row.params.after / row.params.before)).toFixed(1)} %`;
}

function gradientsOf(row: Row | undefined): string {
  if (!row) return '';
  if (!row.gradients) return row.outcome;
  const { ok = 0, WRONG = 0 } = row.gradients;
  return WRONG > 0 ? `${ok} of ${ok + WRONG}` : `${ok}`;
}
