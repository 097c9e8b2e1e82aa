import { plainTable, right } from '../src/report/table.js';
import { short } from './netFigures.js';

/** A step whose state has a given size, and what moving that state costs. */
export interface ResidencyFigures {
  readonly megabytes: number;
  /** Milliseconds of a step with the state where the engine keeps it. */
  readonly kept: number;
  /** The same step with the state handed in and out each time. */
  readonly moved: number;
}

/** @returns the least-squares slope: milliseconds per megabyte */
export function slopeOf(points: readonly (readonly [megabytes: number, ms: number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [x, y] = [mean(points.map((p) => p[0])), mean(points.map((p) => p[1]))];
  const spread = points.reduce((sum, p) => sum + (p[0] - x) ** 2, 0);
  return points.reduce((sum, p) => sum + (p[0] - x) * (p[1] - y), 0) / spread;
}

/** Below this share of what moving costs, the state cannot have been moved. */
const HALF = 0.5;

export function residencyText(figures: readonly ResidencyFigures[], separate: boolean): string {
  const table = plainTable(['state, MB', 'kept, ms/step', 'moved, ms/step', 'moved / kept']);
  for (const { megabytes, kept, moved } of figures)
    table.push([right(`${megabytes}`), right(short(kept)), right(short(moved)), right((moved / kept).toFixed(2))]);
  return [table.toString(), conclusion(figures, separate)].join('\n');
}

/** @param separate whether the device has memory of its own */
export function conclusion(figures: readonly ResidencyFigures[], separate: boolean): string {
  const kept = slopeOf(figures.map((f) => [f.megabytes, f.kept]));
  const moved = slopeOf(figures.map((f) => [f.megabytes, f.moved]));
  const rates = `A megabyte of state costs a step ${kept.toFixed(3)} ms; handed in and out each time, ${moved.toFixed(3)} ms`;
  if (kept < HALF * moved) return `${rates}: the state stays where the engine computes.`;
  return separate
    ? `${rates}: the state crosses the bus in every step, or reading and writing it there takes as long.`
    : `${rates}: engine and host share one memory, so that there is nothing to be saved by staying.`;
}
