import type { CompressEvent, MetricEvent, OnEvent, ProgressEvent } from './events.js';
import { digits, formatInteger, formatMetric, formatSeconds } from './format.js';

/** Where progress is shown: a part of Node's `WriteStream`. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressOptions {
  readonly quiet?: boolean;
  /** Milliseconds since any fixed moment. */
  readonly now?: () => number;
  /** Least time between two plain progress lines, and between two redraws of the live line, in ms. */
  readonly plainEvery?: number;
  readonly liveEvery?: number;
}

const CLEAR_LINE = '\r\x1b[2K';

/**
 * Shows events on a stream: on a terminal one live line that is redrawn, elsewhere plain lines at a moderate rate,
 * with `quiet` nothing at all. `end` leaves the cursor on an empty line.
 */
export function showProgress(
  stream: ProgressStream,
  options: ProgressOptions = {},
): { onEvent: OnEvent; end: () => void } {
  if (options.quiet) return { onEvent: () => {}, end: () => {} };
  const { now = () => performance.now(), plainEvery = 10_000, liveEvery = 100 } = options;
  const live = stream.isTTY === true;
  let shown = false;
  let last = Number.NEGATIVE_INFINITY;

  const end = () => {
    if (shown) stream.write(CLEAR_LINE);
    shown = false;
  };
  const line = (text: string) => {
    end();
    stream.write(`${text}\n`);
  };
  const onEvent = (event: CompressEvent) => {
    if (event.type !== 'progress') {
      if (event.type === 'phase') last = Number.NEGATIVE_INFINITY;
      line(describeEvent(event));
      return;
    }
    const time = now();
    if (time - last < (live ? liveEvery : plainEvery)) return;
    last = time;
    if (!live) return line(`  ${describeProgress(event)}`);
    const width = Math.max(20, (stream.columns ?? 80) - 1);
    stream.write(`${CLEAR_LINE}${describeProgress(event).slice(0, width)}`);
    shown = true;
  };
  return { onEvent, end };
}

/** @returns the line for an event that is no progress. */
function describeEvent(event: Exclude<CompressEvent, ProgressEvent>): string {
  switch (event.type) {
    case 'phase':
      return event.message ? `${event.phase}: ${event.message}` : event.phase;
    case 'choice':
      return `  chosen: ${event.what} = ${event.value} (${event.why})`;
    case 'warning':
      return `  warning: ${event.message}`;
    case 'metric':
      return `  ${describeMetric(event)}`;
  }
}

function describeMetric(event: MetricEvent): string {
  return `${event.on} ${event.name} ${formatMetric(event.name, event.value)} (${formatInteger(event.samples)} samples)`;
}

/** @returns `sparsify  epoch 3/12  step 120/540  loss 0.0532  units 431/1,120  2 min 10 s left`. */
export function describeProgress(event: ProgressEvent): string {
  const parts: string[] = [event.phase];
  if (event.epoch !== undefined) parts.push(`epoch ${of(event.epoch, event.epochs)}`);
  if (event.step !== undefined) parts.push(`step ${of(event.step, event.steps)}`);
  if (event.loss !== undefined) parts.push(`loss ${digits(event.loss)}`);
  if (event.unitsAlive !== undefined) parts.push(`units ${of(event.unitsAlive, event.unitsTotal)}`);
  if (event.secondsLeft !== undefined) parts.push(`${formatSeconds(event.secondsLeft)} left`);
  return parts.join('  ');
}

function of(n: number, total: number | undefined): string {
  return total === undefined ? formatInteger(n) : `${formatInteger(n)}/${formatInteger(total)}`;
}
