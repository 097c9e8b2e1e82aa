import { plainTable, right } from '../src/report/table.js';
import { short } from './netFigures.js';

/** One case as it was measured. */
export interface KernelFigures {
  readonly kind: string;
  readonly title: string;
  /** Milliseconds of every form (medians), or why there are none. */
  readonly forms: ReadonlyMap<string, FormFigures>;
  /** The form that the compiler chooses, where it is one of them. */
  readonly chosen?: string;
}

export interface FormFigures {
  readonly ms?: number;
  readonly why?: string;
  /** The result is another than that of the chosen form. */
  readonly differs?: boolean;
}

/** From this ratio on a choice loses; less is noise. */
const CLEARLY = 1.2;

export interface Verdict {
  readonly fastest: string;
  /** How many times longer the chosen form takes; absent where it was not measured. */
  readonly ratio?: number;
}

/** @returns the fastest form with the right result, against the chosen one; undefined where none ran */
export function verdictOf({ forms, chosen }: KernelFigures): Verdict | undefined {
  const timed = [...forms].flatMap(([name, f]) => (f.ms === undefined || f.differs ? [] : [{ name, ms: f.ms }]));
  if (timed.length === 0) return undefined;
  const best = timed.reduce((a, b) => (b.ms < a.ms ? b : a));
  const mine = timed.find((f) => f.name === chosen);
  return { fastest: best.name, ...(mine && { ratio: mine.ms / best.ms }) };
}

/** @returns the table of one kind: forms as columns, the chosen one marked, and which was fastest */
export function kernelTable(kind: string, figures: readonly KernelFigures[]): string {
  const names = [...new Set(figures.flatMap((f) => [...f.forms.keys()]))];
  const table = plainTable([`${kind}, ms`, ...names, 'fastest', 'choice']);
  for (const row of figures) {
    const cells = names.map((name) => right(cellOf(row.forms.get(name), name === row.chosen)));
    const verdict = verdictOf(row);
    table.push([row.title, ...cells, verdict?.fastest ?? '—', right(judged(verdict?.ratio))]);
  }
  return [table.toString(), ...failures(figures)].join('\n');
}

/** @returns one case on one line, to be shown as soon as it is measured */
export function kernelLine({ kind, title, forms, chosen }: KernelFigures): string {
  const cells = [...forms].map(([name, form]) => `${name} ${cellOf(form, name === chosen).trim()}`);
  return `${kind} ${title}: ${cells.join(', ')}`;
}

function cellOf(form: FormFigures | undefined, chosen: boolean): string {
  if (!form) return '';
  if (form.ms === undefined) return '—';
  return `${form.differs ? '≠ ' : ''}${short(form.ms)}${chosen ? '*' : ' '}`;
}

function judged(ratio: number | undefined): string {
  if (ratio === undefined) return '—';
  return ratio >= CLEARLY ? `${ratio.toFixed(2)}× slower` : 'good';
}

function failures(figures: readonly KernelFigures[]): string[] {
  const said = new Map<string, string>();
  for (const { forms } of figures)
    for (const [name, { why }] of forms) if (why !== undefined && !said.has(name)) said.set(name, why);
  return [...said].map(([name, why]) => `${name}: — ${why.split('\n')[0].slice(0, 160)}`);
}

export const kernelFootnote =
  '* what the compiler chooses; — does not run here; ≠ another result, so it does not count.';
