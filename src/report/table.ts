import Table from 'cli-table3';
import {
  digits,
  formatBytes,
  formatChange,
  formatCount,
  formatGain,
  formatInteger,
  formatMetric,
  formatMs,
  formatPercent,
} from './format.js';
import type { DataFacts, LayerCut, ModelFacts, Report } from './schema.js';

/** @returns the table that ends a run, at most 80 columns wide. */
export function reportTable(report: Report): string {
  const { before, afterStrip, after } = report;
  const trained = report.command === 'compress';
  const columns = trained ? [before, afterStrip, after] : [before, after];
  const heads = trained ? ['before', 'after strip', 'after recovery'] : ['before', 'after'];
  return factsTable(columns, heads);
}

/** @returns models side by side; the last column sets the last model against the first. */
export function factsTable(columns: readonly ModelFacts[], heads: readonly string[]): string {
  const [first, last] = [columns[0], columns[columns.length - 1]];
  const table = plainTable(['', ...heads, 'change']);
  const row = (title: string, value: (facts: ModelFacts) => string, change: string) =>
    table.push([title, ...columns.map((c) => right(value(c))), right(change)]);
  row('parameters', (c) => formatCount(c.params), formatGain(first.params, last.params, 'fewer', 'more'));
  row('MACs', (c) => formatCount(c.macs), formatGain(first.macs, last.macs, 'fewer', 'more'));
  row('size', (c) => formatBytes(c.bytes), formatGain(first.bytes, last.bytes, 'smaller', 'larger'));
  for (const p of ['p50', 'p95'] as const) {
    const change = formatGain(first.latencyMs[p], last.latencyMs[p], 'faster', 'slower');
    row(`latency ${p}`, (c) => formatMs(c.latencyMs[p]), change);
  }
  const metric = first.metric;
  if (metric) {
    const change = last.metric ? formatChange(metric.name, metric.value, last.metric.value) : '';
    row(metric.name, (c) => (c.metric ? formatMetric(c.metric.name, c.metric.value) : '—'), change);
  }
  if (columns.some((c) => c.drift)) {
    row('largest drift', (c) => (c.drift ? digits(c.drift.maxAbsolute) : '—'), '');
    const agreement = (c: ModelFacts) => (c.drift?.agreement == null ? '—' : formatPercent(c.drift.agreement));
    if (columns.some((c) => c.drift?.agreement != null)) row('same predictions', agreement, '');
  }
  return table.toString();
}

/** @returns one line on what the metric was measured on and against, or an empty string. */
export function metricNote({ metric }: ModelFacts, data: DataFacts | null, against = 'the input model'): string {
  if (!metric) return '';
  const { name, on, samples } = metric;
  const what = name === 'agreement' ? `${name} with ${against}` : name;
  const kind = data?.format === 'synthetic' ? 'made-up' : on === 'val' ? 'validation' : 'test';
  return `${what} on ${formatInteger(samples)} ${kind} samples`;
}

/** @returns the layers that lost units, longest first where there are more than `most`. */
export function layersTable(layers: readonly LayerCut[], most = 20): string {
  const cut = layers.filter((l) => l.after < l.before);
  const shown =
    cut.length > most ? [...cut].sort((a, b) => b.before - b.after - (a.before - a.after)).slice(0, most) : cut;
  const table = plainTable(['layer', 'units before', 'after']);
  for (const l of shown)
    table.push([clip(l.family, 44), right(formatInteger(l.before)), right(formatInteger(l.after))]);
  const rest = cut.length - shown.length;
  return table.toString() + (rest > 0 ? `\nand ${rest} more layers (all of them are in the JSON report)` : '');
}

/** @returns an empty table without colours: the same text in a terminal and in a file. */
export function plainTable(head: readonly string[]): Table.Table {
  return new Table({ head: head.map(String), style: { head: [], border: [], compact: true } });
}

export function right(content: string): Table.CellOptions & { hAlign: 'right' } {
  return { content, hAlign: 'right' };
}

/** @returns a name cut in its middle when it is too long for its column. */
export function clip(name: string, width: number): string {
  if (name.length <= width) return name;
  const head = Math.ceil((width - 1) / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (width - 1 - head))}`;
}
