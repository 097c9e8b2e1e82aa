import * as operators from './operators.js';
import { isRefusal, type OpSpec, type Refusal } from './spec.js';

const specs = new Map<string, OpSpec>(Object.values<OpSpec>(operators).map((s) => [key(s.op, s.domain ?? ''), s]));

/** @returns all that is known of an operator in a given opset, or undefined for one that has no rules here. */
export function specOf(op: string, domain = '', opset = Number.POSITIVE_INFINITY): OpSpec | undefined {
  const spec = specs.get(key(op, domain));
  return spec === undefined || opset < (spec.since ?? 0) ? undefined : spec;
}

/** @returns every operator that has rules, by name. */
export function allSpecs(): OpSpec[] {
  return [...specs.values()].sort((a, b) => (a.op < b.op ? -1 : 1));
}

/** One line of the table of supported operators. */
export interface Support {
  readonly op: string;
  readonly domain: string;
  readonly opsets: string;
  /** `yes`, or why not. */
  readonly gradient: string;
  /** `yes`, `pins: …` for a rule that lets no channel go, or why there is no rule, which pins them as well. */
  readonly channels: string;
  readonly macs: boolean;
}

/** @returns what the tool knows of each operator, for documentation and `inspect`. */
export function supportTable(): Support[] {
  return allSpecs().map((s) => ({
    op: s.op,
    domain: s.domain ?? '',
    opsets: s.domain ? '1' : `${s.since ?? 7}–21`,
    // What is rewritten in other operators has their gradients; a refusal then tells of forms that cannot be.
    gradient: s.normalise ? 'yes' : answer(s.grad),
    channels: !isRefusal(s.channels) && s.channels.pins ? `pins: ${s.channels.pins}` : answer(s.channels),
    macs: s.macs !== undefined,
  }));
}

function key(op: string, domain: string): string {
  return domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`;
}

function answer(rule: Refusal | ((...args: never[]) => unknown)): string {
  return isRefusal(rule) ? rule.refused : 'yes';
}
