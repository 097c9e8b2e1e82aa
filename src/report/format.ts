import type { MetricName } from './events.js';

const SPACE = ' ';

/** @returns a count with three significant digits: 512, 11.7 k, 3.27 M. */
export function formatCount(n: number): string {
  return scaled(n, ['', 'k', 'M', 'G', 'T'], '');
}

/** @returns a size in decimal units: 512 B, 46.7 kB, 12.5 MB. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, ['', 'k', 'M', 'G', 'T'], 'B');
}

/** @returns a time in the unit that suits it: 45.0 µs, 1.23 ms, 2.50 s. */
export function formatMs(ms: number): string {
  if (ms === 0) return '0 ms';
  if (ms < 0.1) return `${digits(ms * 1000)}${SPACE}µs`;
  if (ms < 999.5) return `${digits(ms)}${SPACE}ms`;
  return `${digits(ms / 1000)}${SPACE}s`;
}

/** @returns a span as people say it: 12 s, 2 min 30 s, 1 h 05 min. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad2(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${pad2(minutes % 60)} min`;
}

/** @returns 0.9876 as 98.76 %. */
export function formatPercent(ratio: number): string {
  return `${(ratio * 100).toFixed(2)}${SPACE}%`;
}

/** @returns how many times less or more: `280× fewer`, `1.15× more`, `same`; `—` where nothing is left to compare. */
export function formatGain(before: number, after: number, less: string, more: string): string {
  if (before === after) return 'same';
  if (!(before > 0) || !(after > 0)) return '—';
  const ratio = Math.max(before / after, after / before);
  if (ratio < 1.005) return 'same';
  return `${digits(ratio)}× ${before > after ? less : more}`;
}

/** @returns whether a metric is a share of samples, written as a percentage. */
export function isShare(name: MetricName): boolean {
  return name === 'accuracy' || name === 'agreement';
}

export function formatMetric(name: MetricName, value: number): string {
  return isShare(name) ? formatPercent(value) : digits(value);
}

/** @returns the change of a metric with its sign: percentage points for shares. */
export function formatChange(name: MetricName, before: number, after: number): string {
  const change = (after - before) * (isShare(name) ? 100 : 1);
  const size = isShare(name) ? Math.abs(change).toFixed(2) : digits(Math.abs(change));
  const sign = Number(size) === 0 ? '±' : change < 0 ? '−' : '+';
  return `${sign}${size}${isShare(name) ? ' points' : ''}`;
}

/** @returns an integer with thousands apart: 10,000. */
export function formatInteger(n: number): string {
  return n.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** @returns a number with three significant digits, without an exponent where that reads well. */
export function digits(x: number): string {
  const size = Math.abs(x);
  if (!Number.isFinite(x)) return String(x);
  if (size === 0) return '0';
  if (size >= 99.95) return size < 1e6 ? x.toFixed(0) : x.toExponential(2);
  if (size >= 9.995) return x.toFixed(1);
  if (size >= 0.9995) return x.toFixed(2);
  if (size >= 1e-3) return x.toPrecision(3);
  return x.toExponential(2);
}

function scaled(n: number, prefixes: readonly string[], unit: string): string {
  if (n < 999.5) return unit ? `${Math.round(n)}${SPACE}${unit}` : String(Math.round(n));
  let power = 0;
  let value = n;
  while (value >= 999.5 && power < prefixes.length - 1) {
    value /= 1000;
    power++;
  }
  return `${digits(value)}${SPACE}${prefixes[power]}${unit}`;
}

function pad2(n: number): string {
  return String(n).padStart(2, '0');
}
