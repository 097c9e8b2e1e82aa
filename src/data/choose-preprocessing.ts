import { candidates } from './candidates.js';
import type { Dataset } from './dataset.js';
import { mixed } from './mixed.js';
import { type PreparedData, prepare } from './prepare.js';
import {
  describe,
  type ModelInput,
  type Preprocessing,
  type PreprocessingOptions,
  withLayout,
} from './preprocessing.js';
import { drawSamples } from './split.js';

/** How a model does on samples. `accuracy` is NaN where there is none to count: then the loss decides. */
export interface Judged {
  readonly accuracy: number;
  readonly loss: number;
}

export type Judge = (preprocessing: Preprocessing, prepared: PreparedData, indices: Uint32Array) => Promise<Judged>;

export interface ChooseOptions {
  readonly seed?: number;
  /** The samples that may be looked at: those to train on. Default: all. */
  readonly indices?: ArrayLike<number>;
  /** Samples of the last round. Default 1024. */
  readonly samples?: number;
  /** Order of axes and colours, where the user settled it: only values are compared then. */
  readonly layout?: PreprocessingOptions['layout'];
  /** Preprocessings to compare. Default: the common ones for such data. */
  readonly among?: readonly Preprocessing[];
}

export interface ChosenPreprocessing {
  readonly chosen: Preprocessing;
  /** All that were compared, the best first. */
  readonly table: readonly ({ readonly preprocessing: Preprocessing; readonly samples: number } & Judged)[];
  /** Another kind that does nearly as well: what the user should hear of. */
  readonly rival?: Preprocessing;
  /** Even the best does no better than always naming the commonest class. */
  readonly nearChance: boolean;
  /** The decision, as a sentence. */
  readonly why: string;
}

/** Candidates that go into the second round. */
const FINALISTS = 5;
/** Losses that differ by less, as a share, are taken for equal. */
const SAME_LOSS = 0.02;
/** Losses that differ by less than this factor leave a doubt that the user should hear of. */
const UNCLEAR = 1.3;

/**
 * Compares the common preprocessings by how the model does on training samples: all on a few samples, the best on more.
 * Classifiers that are as often right within the noise are told apart by their losses, also on samples mixed with others:
 * what a model knows by heart it knows at any scale of its inputs, only with far too large or too small scores. Of equal
 * losses the simplest is taken.
 */
export async function choosePreprocessing(
  dataset: Dataset,
  input: ModelInput,
  judge: Judge,
  { seed = 0, indices, samples = 1024, among, layout }: ChooseOptions = {},
): Promise<ChosenPreprocessing> {
  const open = indices ?? Uint32Array.from({ length: dataset.length }, (_, i) => i);
  const common = among ?? (await candidates(dataset, input, { indices: open, seed }));
  const settled = (p: Preprocessing) => {
    const wanted = withLayout(p, { layout });
    return wanted.layout === p.layout && wanted.channels === p.channels;
  };
  const all = layout && common.some(settled) ? common.filter(settled) : common;
  const last = drawSamples(open, samples, seed);
  const first = drawSamples(last, Math.max(32, samples >> 2), seed + 1);
  const run = async (list: readonly Preprocessing[], on: Uint32Array) => {
    const rows: Row[] = [];
    for (const preprocessing of list) {
      const judged = await judge(preprocessing, prepare(dataset, [input], preprocessing), on);
      rows.push({ preprocessing, samples: on.length, simplicity: all.indexOf(preprocessing), ...judged });
    }
    return rows.sort(better);
  };
  const onMixed = async (rows: readonly Row[]) => {
    const found: Row[] = [];
    for (const own of MIXES) {
      const harder = mixed(dataset, last, own);
      found.length = 0;
      let right = 0;
      for (const row of rows) {
        const judged = await judge(row.preprocessing, prepare(harder, [input], row.preprocessing), last);
        found.push({ ...row, mixedLoss: judged.loss });
        right = Math.max(right, judged.accuracy);
      }
      if (right < HARD) break;
    }
    return found.sort((a, b) => doubt(a) - doubt(b) || a.simplicity - b.simplicity);
  };
  const short = all.length > FINALISTS && last.length > first.length;
  const round = short ? await run(all, first) : [];
  const near = round
    .filter((r) => !counts(r) || r.accuracy >= round[0].accuracy - noiseOf(round[0], 4))
    .slice(0, FINALISTS);
  const finalists = short ? near.map((r) => r.preprocessing) : all;
  const final = await run(finalists, last);
  const table = [...final, ...round.filter((r) => !finalists.includes(r.preprocessing))];

  const best = final[0];
  const equallyRight = final.filter((r) => !counts(best) || r.accuracy >= best.accuracy - noiseOf(best, 2));
  const level = counts(best) && equallyRight.length > 1 ? await onMixed(equallyRight) : equallyRight;
  const lowest = Math.min(...level.map(doubt));
  const equal = level.filter((r) => doubt(r) <= lowest + SAME_LOSS * Math.abs(lowest) + 1e-4);
  const chosen = equal.reduce((a, b) => (b.simplicity < a.simplicity ? b : a));
  const rival = level.find((r) => doubt(r) < UNCLEAR * lowest && !alike(r.preprocessing, chosen.preprocessing));
  const nearChance = counts(best) && best.accuracy <= chanceOf(dataset, last);
  return {
    chosen: chosen.preprocessing,
    table: table.map(({ simplicity: _, mixedLoss: __, ...row }) => row),
    rival: rival?.preprocessing,
    nearChance,
    why: reason(chosen, table, level, equal),
  };
}

/** @returns whether two preprocessings give nearly the same values, as one data set's mean and another's do. */
function alike(a: Preprocessing, b: Preprocessing): boolean {
  if (a.layout !== b.layout || a.channels !== b.channels) return false;
  const n = Math.max(a.std.length, b.std.length);
  return Array.from({ length: n }, (_, c) => {
    const [s, t] = [a.std[c] ?? a.std[0], b.std[c] ?? b.std[0]];
    const [m, k] = [a.mean[c] ?? a.mean[0], b.mean[c] ?? b.mean[0]];
    return Math.abs((a.scale / s) * (t / b.scale) - 1) < 0.05 && Math.abs(m / s - k / t) < 0.1;
  }).every(Boolean);
}

/** Shares of themselves that samples keep when others are laid over them: less and less, until models get some wrong. */
const MIXES = [0.7, 0.6, 0.5];
const HARD = 0.98;

interface Row extends Judged {
  readonly preprocessing: Preprocessing;
  readonly samples: number;
  readonly simplicity: number;
  /** The loss on samples with others laid over them. */
  readonly mixedLoss?: number;
}

/**
 * What classifiers that are as often right are told apart by: the geometric mean of the losses on the samples as they
 * are and with others laid over. What is known by heart has hardly a loss at any scale: below 1/samples it tells nothing.
 */
function doubt({ loss, mixedLoss, samples }: Row): number {
  return mixedLoss === undefined
    ? rank(loss)
    : Math.sqrt(Math.max(rank(loss), 1 / samples)) * Math.sqrt(rank(mixedLoss));
}

function counts({ accuracy }: Judged): boolean {
  return !Number.isNaN(accuracy);
}

/** So many standard deviations of an accuracy over so few samples. */
function noiseOf({ accuracy, samples }: Row, deviations: number): number {
  return deviations * Math.sqrt((accuracy * (1 - accuracy) + 1 / samples) / samples);
}

function better(a: Row, b: Row): number {
  const accuracy = counts(a) && counts(b) ? b.accuracy - a.accuracy : 0;
  return accuracy || rank(a.loss) - rank(b.loss) || a.simplicity - b.simplicity;
}

/** A loss that is no number is worse than any other; where all are unknown they are equal. */
function rank(loss: number): number {
  return Number.isFinite(loss) ? loss : Number.MAX_VALUE;
}

/** The accuracy that naming the commonest class would reach, and three deviations more. */
function chanceOf(dataset: Dataset, indices: Uint32Array): number {
  const { labels, target } = dataset;
  if (!labels || target?.kind !== 'class') return 0;
  const count = new Float64Array(target.classes);
  for (const i of indices) count[labels[i]]++;
  const share = count.reduce((a, b) => Math.max(a, b), 0) / indices.length;
  return share + 3 * Math.sqrt((share * (1 - share)) / indices.length);
}

function reason(chosen: Row, table: readonly Row[], level: readonly Row[], equal: readonly Row[]): string {
  const figures = (r: Row) => {
    const right = counts(r) ? `${(100 * r.accuracy).toFixed(1)} % right, ` : '';
    const harder = r.mixedLoss === undefined ? '' : `, ${r.mixedLoss.toPrecision(3)} with others laid over`;
    return `${right}loss ${r.loss.toPrecision(3)}${harder}`;
  };
  const on = `on ${chosen.samples} training samples`;
  const said = `${describe(chosen.preprocessing)}: ${figures(chosen)} ${on}`;
  const rivals = level.length > 1 ? level : table;
  const next = rivals.find((r) => r.preprocessing !== chosen.preprocessing);
  if (!next) return said;
  const other = `${describe(next.preprocessing)}: ${figures(next)}`;
  if (equal.length > 1) return `${said}; the simplest of ${equal.length} that do equally well (${other})`;
  return level.length > 1 ? `${said}; as often right, with higher losses: ${other}` : `${said}; next ${other}`;
}
