import { basename } from 'node:path';
import type { GradientReport } from '../src/checkGradients.js';
import type { Comparison } from '../src/compare.js';
import { digits, formatBytes, formatCount, formatInteger, formatPercent, formatSeconds } from '../src/report/format.js';
import { type AxisFacts, byWeight, type Inspection, reasonOf, type WeightAxisFacts } from '../src/report/inspection.js';
import type { DataFacts, ProofFacts, Report, RunFacts, ZeroedFacts } from '../src/report/schema.js';
import { clip, factsTable, layersTable, metricNote, plainTable, reportTable, right } from '../src/report/table.js';

/** The text that ends a run of the main command or of `strip`. */
export function printReport(report: Report): string {
  const { run, output } = report;
  const outcomes = {
    completed: false as const,
    'time budget': 'The time budget was used up: this is the best valid model so far.',
    interrupted: 'Stopped by the user: this is the best valid model so far.',
  };
  return lines(
    report.layers.some((l) => l.after < l.before) ? layersTable(report.layers) : 'No units were removed.',
    '',
    reportTable(report),
    report.after.metric && noted(metricNote(report.after, report.data), report.data),
    report.zeroed && printZeroed(report.zeroed, report),
    report.command === 'strip' && printParameters(report),
    report.proof && printProof(report.proof),
    outcomes[run.outcome],
    `${placeOf(run)}, ${run.threads} threads${speedOf(run)}, seed ${run.seed}, ${formatSeconds(run.seconds)}.`,
    output ? `Written: ${output.path}` : 'Nothing was written.',
    report.zeroed?.path && `With its zeros: ${report.zeroed.path}`,
  );
}

/** Says what figures on made-up inputs are worth. */
function noted(note: string, data: DataFacts | null): string {
  if (data?.format !== 'synthetic') return `${note}.`;
  return wrapped(`${note}. Made-up inputs say nothing of real ones: hold the result to real data before you use it.`);
}

function printZeroed({ units, of, ratio }: ZeroedFacts, { layers, run }: Report): string {
  const gone = layers.reduce((sum, l) => sum + l.before - l.after, 0);
  const kept =
    gone < units ? `; ${formatInteger(units - gone)} stay as zeros: an axis keeps a channel, a group its share` : '';
  return wrapped(
    `Set to zero: ${formatInteger(units)} of ${formatInteger(of)} units (${ratio} of every family, seed ${run.seed}). Gone: ${formatInteger(gone)}${kept}.`,
  );
}

function printParameters({ before, after }: Report): string {
  const gone = before.params - after.params;
  const share = formatPercent(before.params > 0 ? gone / before.params : 0);
  return `Parameters: ${formatInteger(before.params)} before, ${formatInteger(after.params)} after, ${formatInteger(gone)} (${share}) gone.`;
}

function printProof({ inputs, batches, outputs, ...proof }: ProofFacts): string {
  const runs = `batches of ${[...new Set(batches)].join(' and ')} ${inputs} inputs`;
  const compared = outputs.length === 1 ? `output ${clip(outputs[0], 40)}` : `${outputs.length} outputs`;
  const own = proof.rounding === null ? '' : `, and onnxruntime's own optimisations change ${digits(proof.rounding)}`;
  return wrapped(
    `Proved on ${runs}, ${compared}: they differ by at most ${digits(proof.maxRelative)} of the largest value (${digits(proof.maxAbsolute)}); allowed is ${digits(proof.allowed)}${own}.`,
  );
}

/** The text of `compare`. */
export function printComparison(comparison: Comparison): string {
  const { a, b, run, drift } = comparison;
  const speed = comparison.ratio.latency;
  return lines(
    factsTable([a, b], headsOf(a.path, b.path)),
    b.metric && noted(metricNote(b, comparison.data, basename(a.path)), comparison.data),
    `${speed.toFixed(2)} times the speed, as the median of interleaved pairs of runs.`,
    `Drift on ${formatInteger(drift.samples)} ${comparison.data ? 'samples' : 'drawn inputs'}: at most ${drift.maxAbsolute.toPrecision(3)}, ${drift.maxRelative.toPrecision(3)} of the largest output.`,
    `${run.engine} on ${run.provider}, ${run.threads} threads.`,
  );
}

/** The text of `check-gradients`. */
export function printGradients(report: GradientReport): string {
  const { checks, counts, lossCheck } = report;
  const rows = checks.map((c) => {
    const figures = [c.l2, c.expected, c.worst].map((x) => (x === null ? '—' : digits(x)).padStart(9)).join(' ');
    const line = `${clip(c.name, 27).padEnd(27)} ${clip(`[${c.shape}]`, 13).padEnd(13)} ${figures}  ${c.verdict}`;
    return c.why ? `${line}\n${wrapped(c.why, 76).replace(/^/gm, '    ')}` : line;
  });
  const told = Object.entries(counts).flatMap(([verdict, n]) => (n > 0 ? [`${formatInteger(n)} ${verdict}`] : []));
  const loss = lossCheck.expected === null ? '' : `, expected ${digits(lossCheck.expected)}: ${lossCheck.verdict}`;
  return lines(
    `${'parameter'.padEnd(27)} ${'shape'.padEnd(13)} ${['norm', 'expected', 'worst'].map((h) => h.padStart(9)).join(' ')}  verdict`,
    ...rows,
    '',
    ...report.notes.map((note) => wrapped(`Note: ${note}.`)),
    `Loss ${digits(report.loss)}${loss}.`,
    wrapped(`Parameters: ${told.join(', ')}. Compared with ${against(report)}; worst is a share of the norm.`),
    report.agree && 'All that was compared agrees.',
  );
}

function against({ against: what }: GradientReport): string {
  return what === 'reference' ? 'the reference' : 'central differences along 3 random directions each';
}

/** The text of `inspect`. */
export function printInspection(inspection: Inspection): string {
  const layers = plainTable(['layer', 'operator', 'parameters', 'MACs', 'output']);
  for (const l of inspection.layers) {
    if (l.params === 0 && l.macs === 0) continue;
    layers.push([
      clip(l.name, 24),
      clip(l.op, 18),
      right(formatCount(l.params)),
      right(formatCount(l.macs)),
      clip(`[${l.outputShape}]`, 18),
    ]);
  }
  const families = plainTable(['', 'removable units of', 'count', 'what goes with them']);
  const number = new Map(inspection.families.map((f, i) => [f.name, `#${i + 1}`]));
  for (const f of inspection.families)
    families.push([
      right(number.get(f.name)!),
      clip(f.name, 26),
      right(formatInteger(f.units)),
      cut(together(f.makes, f.reads), 29),
    ]);
  const weights = [...byWeight(inspection.weights)];
  const axes = plainTable(['weight', 'its axes: what can go', 'what pins the rest']);
  for (const [name, of] of weights.slice(0, MOST_LINES)) {
    const shares = of.map((a) => share(a, number)).join(' · ');
    axes.push([clip(name, 20), cut(shares, 30), cut(pinsOf(of), 20)]);
  }
  const units = inspection.families.reduce((sum, f) => sum + f.units, 0);
  return lines(
    `${inspection.path}: opset ${inspection.opset}${inspection.producer && `, made by ${inspection.producer}`}`,
    ...inspection.inputs.map((i) => `  input  ${i.name} ${i.dtype} [${i.shape.join(', ')}]`),
    ...inspection.outputs.map((o) => `  output ${o.name} ${o.dtype} [${o.shape.join(', ')}]`),
    `${formatInteger(inspection.params)} parameters, ${formatCount(inspection.macs)} MACs a sample, ${formatBytes(inspection.bytes)}`,
    '',
    layers.toString(),
    '',
    units > 0 ? families.toString() : 'There are no removable units.',
    units > 0 && `${formatInteger(units)} removable units in ${inspection.families.length} families.`,
    '',
    weights.length > 0 && axes.toString(),
    weights.length > MOST_LINES &&
      `and ${weights.length - MOST_LINES} more weights (--json lists them all, --html draws them)`,
    ...section(
      'Pinned: these channels stay',
      inspection.pinned.map((p) => `${p.channels} of ${p.of} channels of ${p.node}: ${reasonOf(p)}`),
    ),
    ...section(
      'Trained',
      inspection.trained.filter((t) => t.trained).map((t) => `${t.name}: ${t.why}`),
    ),
    ...section(
      'Not trained',
      inspection.trained.filter((t) => !t.trained).map((t) => `${t.name}: ${t.why}`),
    ),
    ...section('Notes', inspection.notes),
  );
}

const MOST_LINES = 40;

/** What reads the units first: what makes them is told by their name. */
function together(makes: readonly AxisFacts[], reads: readonly AxisFacts[]): string {
  return [...reads, ...makes].map((a) => `${a.weight}[${a.axis}]`).join(', ');
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** Indices of an axis that can go, and the families that they go with. */
function share(axis: WeightAxisFacts, number: ReadonlyMap<string, string>): string {
  const { removable, blockwise, families, shape } = axis;
  const groups = blockwise > 0 ? ['by groups'] : families.map((f) => number.get(f) ?? '');
  return [`${removable + blockwise}/${shape[axis.axis]}`, ...groups].join(' ');
}

function pinsOf(axes: readonly WeightAxisFacts[]): string {
  const pins = axes.flatMap((a) => a.pinned.map(reasonOf));
  return [...new Set(pins)].join('; ');
}

function section(title: string, entries: readonly string[]): string[] {
  if (entries.length === 0) return [];
  const shown = entries.slice(0, MOST_LINES).map((entry) => `  ${entry}`);
  const rest = entries.length - shown.length;
  return ['', `${title}:`, ...shown, ...(rest > 0 ? [`  and ${rest} more (--json lists them all)`] : [])];
}

/** File names as the heads of columns, where they tell the models apart. */
function headsOf(a: string, b: string): string[] {
  const heads = [a, b].map((path) => clip(basename(path), 16));
  return heads[0] === heads[1] ? ['a', 'b'] : heads;
}

/** Breaks a sentence at spaces, so that it fits a terminal. */
function wrapped(text: string, width = 80): string {
  return text.replace(new RegExp(`(?![^\\n]{1,${width}}$)([^\\n]{1,${width}}) `, 'g'), '$1\n');
}

/** Joins the lines that are there. */
function lines(...all: readonly (string | false | null | undefined)[]): string {
  return `${all.filter((line) => typeof line === 'string').join('\n')}\n`;
}

function placeOf({ engine, provider, measuredOn = provider }: RunFacts): string {
  const ran = `${engine} on ${provider}`;
  return measuredOn === provider ? ran : `Trained by ${ran}, measured on ${measuredOn}`;
}

function speedOf({ samplesPerSecond }: RunFacts): string {
  return samplesPerSecond === undefined ? '' : `, ${digits(samplesPerSecond)} samples/s in training`;
}
