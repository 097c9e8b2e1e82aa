import { CgesError } from '../errors.js';
import { type GraphBuilder, sameShape, type Value } from '../onnx/builder.js';
import { isRefusal } from '../ops/spec.js';
import type { DType } from '../tensor/tensor.js';
import type { Forward, TapeEntry } from './forward.js';

/*
 * Comes in: a tape and the gradients of some of its values. Goes out: the gradients of the wanted ones. Only what lies
 * between the two is emitted; fan-out is summed and broadcasting undone here, so that no rule has to.
 */

const floats: ReadonlySet<DType> = new Set(['float32', 'float64', 'float16', 'bfloat16']);

/**
 * Emits the reverse sweep.
 * @param seeds gradients by the names of values in the graph (the loss's with respect to the logits)
 * @param wanted names of values in the graph
 * @returns gradients by name; a wanted value that no seed depends on is absent
 * @throws CgesError NO_GRADIENT where an operator without gradient lies between a wanted value and a seed
 */
export function gradients(
  g: GraphBuilder,
  { tape, values }: Forward,
  seeds: ReadonlyMap<string, Value>,
  wanted: Iterable<string>,
): Map<string, Value> {
  const emitted = (name: string): Value => {
    const value = values.get(name);
    if (!value) throw new Error(`there is no value ${name} in the emitted graph`);
    return value;
  };
  const targets = new Map([...wanted].map((name) => [name, emitted(name)]));
  const needed = dependents(tape, [...targets.values()]);
  const pending = new Map<string, Value[]>();
  const summed = new Map<string, Value>();
  const firstNode = g.nodes.length;

  const contribute = (to: Value, gradient: Value): void => {
    const list = pending.get(to.name);
    if (list) list.push(gradient);
    else pending.set(to.name, [gradient]);
  };
  const gradientOf = (value: Value): Value | undefined => {
    const done = summed.get(value.name);
    if (done) return done;
    const parts = pending.get(value.name);
    if (!parts) return undefined;
    const total = g.within(`${value.name}.grad`, () => parts.reduce((a, b) => g.add(a, b)));
    summed.set(value.name, total);
    return total;
  };

  for (const [name, seed] of seeds) contribute(emitted(name), checked(seed, emitted(name), 'a seed'));
  for (let at = tape.length - 1; at >= 0; at--) {
    const entry = tape[at];
    if (!entry.inputs.some((input) => input && needed.has(input.name))) continue;
    const dys = entry.outputs.map((output) => output && gradientOf(output));
    if (dys.every((dy) => dy === undefined)) continue;
    differentiate(g, entry, dys, needed, contribute);
  }

  const result = new Map<string, Value>();
  for (const [name, target] of targets) {
    const gradient = gradientOf(target);
    if (gradient) result.set(name, gradient);
  }
  return renamed(g, firstNode, summed, result);
}

/** @returns the names of all emitted values that depend on one of `sources`, these included. */
function dependents(tape: readonly TapeEntry[], sources: readonly Value[]): Set<string> {
  const reached = new Set(sources.map((v) => v.name));
  for (const { inputs, outputs } of tape) {
    if (!inputs.some((input) => input && reached.has(input.name))) continue;
    for (const output of outputs) if (output && floats.has(output.dtype)) reached.add(output.name);
  }
  return reached;
}

function differentiate(
  g: GraphBuilder,
  { node, spec, inputs }: TapeEntry,
  dys: readonly (Value | undefined)[],
  needed: ReadonlySet<string>,
  contribute: (to: Value, gradient: Value) => void,
): void {
  if (!spec || isRefusal(spec.grad)) {
    const why = spec && isRefusal(spec.grad) ? spec.grad.refused : unknown(node.op);
    throw new CgesError('NO_GRADIENT', `${node.op} ${node.name} has no gradient: ${why}`, {
      node: node.name,
      op: node.op,
      hint: `--freeze with a pattern that matches the weights before ${node.name} trains only those after it`,
    });
  }
  const { grad } = spec;
  g.within(`${node.name}/grad`, () => {
    const thunks = grad(g, node, dys);
    inputs.forEach((input, i) => {
      if (!input || !floats.has(input.dtype) || !needed.has(input.name)) return;
      const thunk = thunks[i];
      if (!thunk) return;
      const who = `the gradient of ${node.op} ${node.name}, input ${i},`;
      const answer = thunk();
      contribute(input, checked(fits(answer, input) ? g.unbroadcast(answer, input.shape) : answer, input, who));
    });
  });
}

function unknown(op: string): string {
  if (op === 'If') return 'which branch it takes depends on data';
  if (op === 'Loop' || op === 'Scan') return 'how often it runs depends on data, or is too often to be unrolled';
  return 'this operator is not known';
}

/** Whether the answer has the input's shape, or one that the input broadcasts to. */
function fits(answer: Value, { shape }: Value): boolean {
  const lead = answer.shape.length - shape.length;
  return lead >= 0 && shape.every((d, i) => d === 1 || d === answer.shape[lead + i]);
}

function checked(gradient: Value, of: Value, who: string): Value {
  if (gradient.dtype !== of.dtype || !sameShape(gradient.shape, of.shape)) {
    const [is, should] = [gradient, of].map((v) => `${v.dtype} [${v.shape}]`);
    throw new Error(`${who} is ${is}, but ${of.name} is ${should}`);
  }
  return gradient;
}

/** Gives every gradient that this sweep emitted the name `<value>.grad`; one that stands for several takes the first. */
function renamed(
  g: GraphBuilder,
  firstNode: number,
  summed: ReadonlyMap<string, Value>,
  result: Map<string, Value>,
): Map<string, Value> {
  const own = new Set(g.nodes.slice(firstNode).flatMap((node) => node.output));
  const names = new Map<string, string>();
  for (const [value, gradient] of summed) {
    if (own.has(gradient.name) && !names.has(gradient.name)) names.set(gradient.name, g.unique(`${value}.grad`));
  }
  g.rename(names, firstNode);
  for (const [name, gradient] of result) {
    const to = names.get(gradient.name);
    if (to) result.set(name, { ...gradient, name: to });
  }
  return result;
}
