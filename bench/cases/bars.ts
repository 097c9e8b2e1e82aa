import { digits, formatMs, formatPercent, formatSeconds } from '../../src/report/format.js';
import type { Report } from '../../src/report/schema.js';
import type { Bar } from '../cases.js';

export function atLeast(what: string, bar: number, value: number, unit = '×'): Bar {
  return { what, bar: `at least ${bar}${unit}`, figure: `${digits(value)}${unit}`, ok: value >= bar };
}

/** How many times fewer, from the counts themselves. */
export function fewer(what: string, bar: number, before: number, after: number): Bar {
  return atLeast(what, bar, before / after);
}

/** Accuracy that was lost, in percentage points; accuracies are 0 … 1. */
export function pointsLost(bar: number, before: number, after: number, on: string): Bar {
  const lost = (before - after) * 100;
  return {
    what: `accuracy lost on ${on}`,
    bar: `at most ${bar} points`,
    figure: `${lost.toFixed(2)} points (${formatPercent(before)} → ${formatPercent(after)})`,
    // Counts of right answers are exact; differences of shares are not.
    ok: lost <= bar + 1e-9,
  };
}

export function within(what: string, minutes: number, seconds: number): Bar {
  return { what, bar: `at most ${minutes} minutes`, figure: formatSeconds(seconds), ok: seconds <= minutes * 60 };
}

export function shown(what: string, figure: string): Bar {
  return { what, bar: '', figure, ok: true };
}

export function holds(what: string, bar: string, figure: string, ok: boolean): Bar {
  return { what, bar, figure, ok };
}

/** @returns the metric's value, which these cases all have. */
export function accuracyOf(report: Report, when: 'before' | 'afterStrip' | 'after'): number {
  const { metric } = report[when];
  if (metric?.name !== 'accuracy') throw new Error(`the report has no accuracy ${when}`);
  return metric.value;
}

export function faster(bar: number, { before, after }: Report): Bar {
  const [a, b] = [before.latencyMs.p50, after.latencyMs.p50];
  const figure = `${digits(a / b)}× (${formatMs(a)} → ${formatMs(b)})`;
  return { what: 'latency p50, times lower', bar: `at least ${bar}×`, figure, ok: a / b >= bar };
}
