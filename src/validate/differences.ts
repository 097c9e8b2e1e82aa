import { toNumber } from '../onnx/attributes.js';
import { bodiesOf, realInputs } from '../onnx/graph.js';
import { makeTensor, makeValueInfo } from '../onnx/make.js';
import type { GraphProto, ModelProto, NodeProto } from '../onnx/proto.js';
import { openSession, type Session } from '../runtime/session.js';
import { Random } from '../tensor/random.js';
import { float32, type Tensor } from '../tensor/tensor.js';

/*
 * Central differences of a loss, to hold gradients to. Comes in: a loss as a function of its parameters. Goes out: for
 * each parameter whether its gradient is right, wrong, or beyond what differences can tell.
 */

/** A loss that can be computed at other parameters; those that are not named keep their values. */
export interface Loss {
  at(changed: ReadonlyMap<string, Float32Array>): Promise<number>;
  close(): Promise<void>;
}

export interface DifferenceCheck {
  readonly verdict: 'ok' | 'WRONG' | 'uncertain';
  /** Largest difference of two slopes along a direction, as a share of the gradient's norm, where it could be told. */
  readonly worst: number;
  readonly why?: string;
}

/** Directions per parameter: a random one may lie across what is wrong. */
const DIRECTIONS = 3;
/** Directions where the first of them disagree. */
const MORE_DIRECTIONS = 9;
/** First step, as a share of the parameter's root mean square, or of the loss where that is smaller. */
const STEP = 0.02;
/** Smaller steps that are tried where a larger one disagrees: kinks and curvature fade with the step, mistakes don't. */
const SHRINK = [1, 1 / 8, 1 / 64];
/** Share of the gradient's norm by which slopes may differ. */
const TOLERANCE = 1e-2;
/** How many times its own error a difference may be off. */
const CERTAINTY = 4;
/** Differences with a larger error, as a share of the norm, prove nothing. */
const BLUR = 0.1;

/**
 * Opens the loss Σ output · R of a model whose parameters can be changed.
 * @param parameters in float32, by name; initializers or Constant nodes of the model
 * @param directions R by the names of the model's outputs
 */
export async function openLoss(
  model: ModelProto,
  parameters: ReadonlyMap<string, Tensor>,
  feeds: Readonly<Record<string, Tensor>>,
  directions: ReadonlyMap<string, Float32Array>,
): Promise<Loss> {
  const { graph } = model;
  const loose: ModelProto = {
    ...model,
    // Before IR 4 every initializer was an input too.
    irVersion: Math.max(toNumber(model.irVersion ?? 0), 4),
    graph: {
      ...withoutConstants(graph, parameters),
      input: [...realInputs(graph), ...[...parameters].map(([name, t]) => makeValueInfo(name, 'float32', t.dims))],
      output: [...directions.keys()].map((name) => ({ name, metadataProps: [] })),
      valueInfo: [],
    },
  };
  const session = await opened(loose, parameters);
  const fixed = { ...feeds, ...Object.fromEntries(parameters) };
  return {
    async at(changed) {
      const moved = [...changed].map(([name, data]) => [name, float32(parameters.get(name)!.dims, data)] as const);
      const results = await session.run({ ...fixed, ...Object.fromEntries(moved) });
      let loss = 0;
      for (const [name, direction] of directions) {
        const { data } = results[name];
        for (let i = 0; i < direction.length; i++) loss += Number(data[i]) * direction[i];
      }
      return loss;
    },
    close: () => session.close(),
  };
}

/** Bodies then read them from the main graph. */
function withoutConstants(graph: GraphProto, names: ReadonlyMap<string, unknown>): GraphProto {
  const inside = (node: NodeProto): NodeProto => {
    if (bodiesOf(node).length === 0) return node;
    const attribute = node.attribute.map((a) => ({
      ...a,
      ...(a.g && { g: withoutConstants(a.g, names) }),
      graphs: a.graphs.map((body) => withoutConstants(body, names)),
    }));
    return { ...node, attribute };
  };
  return {
    ...graph,
    initializer: graph.initializer.filter((t) => !names.has(t.name ?? '')),
    node: graph.node.filter((n) => !(n.opType === 'Constant' && !n.domain && names.has(n.output[0]))).map(inside),
  };
}

/** Some optimisations insist on constants that were made inputs. */
async function opened(model: ModelProto, parameters: ReadonlyMap<string, Tensor>): Promise<Session> {
  try {
    return await openSession(model, { optimisation: 'disabled' });
  } catch {
    return await openSession(withDefaults(model, parameters), { optimisation: 'disabled' });
  }
}

/** Inputs that are initializers as well keep their values where nothing else is fed. */
function withDefaults(model: ModelProto, parameters: ReadonlyMap<string, Tensor>): ModelProto {
  const initializer = [...model.graph.initializer, ...[...parameters].map(([name, t]) => makeTensor(name, t))];
  return { ...model, graph: { ...model.graph, initializer } };
}

/** @returns by how much rounding alone moves the loss: found by moving every weight by its last bit. */
export async function roundingOf(
  loss: Loss,
  parameters: ReadonlyMap<string, Tensor>,
  scale: number,
  seed: number,
): Promise<{ readonly base: number; readonly rounding: number }> {
  const base = await loss.at(new Map());
  let rounding = scale * 2 ** -24;
  for (let k = 0; k < 3; k++) {
    const random = Random.stream(seed, k);
    const shaken = [...parameters].map(([name, { data }]) => {
      const from = data as Float32Array;
      return [name, from.map((x) => (random.uint32() & 1 ? x * (1 + 2 ** -23) : x * (1 - 2 ** -23)))] as const;
    });
    rounding = Math.max(rounding, Math.abs((await loss.at(new Map(shaken))) - base));
  }
  return { base, rounding };
}

/**
 * Holds the gradient of one parameter to central differences along random directions of signs, each at two steps: what
 * these two and the one-sided differences disagree by is the error of the difference itself. A kink (Relu, Max) within
 * reach of the step makes that error large, and the verdict `uncertain`, never `WRONG`.
 *
 * **Source**: Richardson extrapolation, (4·D(h/2) − D(h)) / 3.
 */
export async function checkByDifferences(
  loss: Loss,
  parameter: { readonly name: string; readonly value: Float32Array; readonly gradient: Float32Array },
  at: { readonly base: number; readonly rounding: number; readonly scale: number },
  seed: number,
): Promise<DifferenceCheck> {
  const { value, gradient } = parameter;
  const size = rootMeanSquare(value);
  const norm = Math.sqrt(product(gradient, gradient));
  const first = Math.min(
    size > 0 ? STEP * size : Number.POSITIVE_INFINITY,
    norm > 0 ? (STEP * at.scale) / norm : Number.POSITIVE_INFINITY,
  );
  const step = Number.isFinite(first) && first > 0 ? first : 1e-3;
  // A gradient that is next to nothing is held to what would be something.
  const scale = Math.max(norm, (1e-3 * at.scale) / (size || 1));
  const found = { ok: 0, wrong: 0, uncertain: 0 };
  let worst = 0;
  // A mistake shows along most directions, a kink that hides from the steps along one: where they disagree, more are asked.
  const isSplit = (): boolean => found.wrong > 0 && found.ok + found.uncertain > 0;
  for (let k = 0; k < DIRECTIONS || (isSplit() && k < MORE_DIRECTIONS); k++) {
    const random = Random.stream(seed, k);
    const signs = Int8Array.from(value, () => (random.uint32() & 1 ? 1 : -1));
    const expected = product(gradient, signs);
    const verdicts: Judgement[] = [];
    for (const shrink of SHRINK) {
      const slope = await slopeOf(loss, parameter, signs, step * shrink, at);
      verdicts.push(judged(expected, slope, scale));
      if (verdicts.at(-1)!.verdict === 'ok') break;
    }
    const told = verdicts.find((v) => v.verdict === 'ok') ?? sharpest(verdicts);
    found[told?.verdict ?? 'uncertain']++;
    if (told && told.verdict !== 'uncertain') worst = Math.max(worst, told.off);
  }
  if (found.wrong > found.ok + found.uncertain) return { verdict: 'WRONG', worst };
  if (found.ok > found.uncertain && found.wrong === 0) return { verdict: 'ok', worst };
  return {
    verdict: 'uncertain',
    worst,
    why: 'a kink lies within reach of the step, or the loss is too coarse to tell',
  };
}

interface Slope {
  readonly value: number;
  readonly error: number;
}

interface Judgement {
  readonly verdict: 'ok' | 'wrong' | 'uncertain';
  readonly off: number;
  /** How far off the difference itself may be; infinite where it cannot be judged by. */
  readonly error: number;
}

function sharpest(judgements: readonly Judgement[]): Judgement | undefined {
  return judgements.filter((j) => j.error < Number.POSITIVE_INFINITY).sort((a, b) => a.error - b.error)[0];
}

function judged(expected: number, { value, error }: Slope, scale: number): Judgement {
  const difference = Math.abs(expected - value);
  const off = difference / scale;
  const sharp = error <= BLUR * Math.max(scale, Math.abs(value));
  if (!Number.isFinite(off) || !sharp) return { verdict: 'uncertain', off: 0, error: Number.POSITIVE_INFINITY };
  if (off <= TOLERANCE) return { verdict: 'ok', off, error };
  return { verdict: difference <= TOLERANCE * scale + CERTAINTY * error ? 'uncertain' : 'wrong', off, error };
}

/** The slope of the loss along a direction, and how far off it may be. */
async function slopeOf(
  loss: Loss,
  { name, value }: { readonly name: string; readonly value: Float32Array },
  signs: Int8Array,
  step: number,
  { base, rounding }: { readonly base: number; readonly rounding: number },
): Promise<Slope> {
  const at = (by: number) => loss.at(new Map([[name, value.map((x, i) => x + by * signs[i])]]));
  const [ahead, behind] = [await at(step), await at(-step)];
  const [nearAhead, nearBehind] = [await at(step / 2), await at(-step / 2)];
  const wide = (ahead - behind) / (2 * step);
  const narrow = (nearAhead - nearBehind) / step;
  // What the slopes of the two sides differ by halves with the step where the loss is smooth, and stays at a kink.
  const bend = (ahead + behind - 2 * base) / step;
  const nearBend = (nearAhead + nearBehind - 2 * base) / (step / 2);
  return {
    value: (4 * narrow - wide) / 3,
    error: Math.abs(narrow - wide) + Math.abs(nearBend - bend / 2) + (2 * rounding) / step,
  };
}

function rootMeanSquare(data: Float32Array): number {
  return data.length > 0 ? Math.sqrt(product(data, data) / data.length) : 0;
}

export function product(a: Float32Array, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
