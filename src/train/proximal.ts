import type { GraphBuilder, Value } from '../onnx/builder.js';
import type { RegularizerName } from '../options.js';
import type { UnitFamily, UnitPart } from '../prune/units.js';
import { float32, int32 } from '../tensor/tensor.js';

/** Removable units that are penalised together. */
export interface PenalisedFamily extends Pick<UnitFamily, 'name' | 'count' | 'parts'> {
  /** Relative strength of each unit's group term (1: plain); what the unit's removal saves, where that is asked for. */
  readonly weight?: Float32Array;
  /**
   * Parameters whose scale a normalisation by the statistics of the batch takes out again: their norm tells nothing of
   * what a unit is worth, so it counts neither in the unit's norm nor does it shrink. They go when the unit does.
   */
  readonly scaleFree?: ReadonlySet<string>;
}

/** A weight of the network in the order of the layers, for the exclusive term and the layer balance μ. */
export interface LayerWeight {
  readonly parameter: string;
  /** Axis of the output channels: the members of an exclusive group differ in it alone. */
  readonly outAxis: number;
  /** Factors on the group and the exclusive term of this layer (reference recipe), 1 otherwise. */
  readonly groupFactor?: number;
  readonly exclusiveFactor?: number;
}

export interface ProximalOptions {
  readonly regularizer: RegularizerName;
  /** `channel`: the group term runs over removable units; `reference`: over input features, as the reference code. */
  readonly grouping: 'channel' | 'reference';
  /** Balance of group and exclusive sparsity over the layers, 0 … ½. */
  readonly m: number;
  readonly families: readonly PenalisedFamily[];
  readonly layers: readonly LayerWeight[];
  /**
   * Exponent a of the factor (mean norm of the family / ‖w_g‖)^a on each unit's group term; 0 or absent: plain. A plain
   * term takes as much from the units that matter as from those that don't, and all of them shrink together.
   * Source: adaptive group lasso, Wang & Leng, 2008, eq. 2, with weights that follow the norms.
   */
  readonly adaptivity?: number;
}

/** Bounds of the adaptive factor. */
const LEAST_FACTOR = 1 / 8;
const MOST_FACTOR = 8;

/** Coefficients of the three elementary steps, for layer `l` of `layers`. */
interface Coefficients {
  readonly group: number;
  readonly exclusive: number;
  readonly l1: number;
  readonly l2: number;
}

/** μ_l = m + (1 − 2m)·l/(L − 1), the share of exclusive sparsity. Source: Yoon & Hwang 2017, section 3.2. One layer: ½. */
export function layerBalance(m: number, l: number, layers: number): number {
  return layers > 1 ? m + ((1 - 2 * m) * l) / (layers - 1) : 0.5;
}

/** What each regularizer means in terms of the elementary steps. */
export function coefficients(regularizer: RegularizerName, mu: number): Coefficients {
  const none = { group: 0, exclusive: 0, l1: 0, l2: 0 };
  switch (regularizer) {
    case 'cges':
      return { ...none, group: 1 - mu, exclusive: mu };
    case 'gs':
      return { ...none, group: 1 };
    case 'es':
      return { ...none, exclusive: 1 };
    case 'sgl':
      return { ...none, group: 1 - mu, l1: mu };
    case 'l1':
      return { ...none, l1: 1 };
    case 'l2':
      return { ...none, l2: 1 };
    case 'none':
      return none;
  }
}

/** A parameter after its gradient step, on its way through the proximal step. */
export interface Stepped {
  readonly value: Value;
  stepSize(axes: readonly number[]): Value;
}

export interface ProximalResult {
  readonly parameters: Map<string, Value>;
  /** Per family: 1 for units that live after this step, else 0; float32 [count]. */
  readonly alive: Map<string, Value>;
  /** Share of its norm that the group step took of a living unit, as a geometric mean; absent without such a term. */
  readonly shrinkage?: Value;
}

/**
 * Emits the proximal step of Ω = λ Σ_l [(1−μ_l) Σ_g ‖w_g‖₂ + μ_l ½ Σ_g ‖w_g‖₁²] and its relatives: group part first,
 * then the exclusive one, thresholds scaled by the step size that the optimizer took.
 * Source: Yoon & Hwang 2017, eq. 7 and 8. Eq. 8 takes the ℓ₁ norm before the step and so is not the exact prox; at the
 * step sizes of training they differ by a few percent at most. Zero groups stay zero: no division by their norm.
 */
export function emitProximal(
  g: GraphBuilder,
  options: ProximalOptions,
  lambda: Value,
  stepped: ReadonlyMap<string, Stepped>,
): ProximalResult {
  const order = new Map(options.layers.map((layer, l) => [layer.parameter, l]));
  const at = (parameter: string): Coefficients => {
    const l = order.get(parameter);
    const mu = l === undefined ? options.m : layerBalance(options.m, l, options.layers.length);
    return coefficients(options.regularizer, mu);
  };
  const parameters = new Map([...stepped].map(([name, s]) => [name, s.value]));
  const alive = new Map<string, Value>();
  const shrinkages: Shrinkage[] = [];
  const threshold = (name: string, axes: readonly number[], factor: number) =>
    g.mul(g.mul(stepped.get(name)!.stepSize(axes), lambda), factor);

  if (options.grouping === 'channel') {
    for (const family of options.families) {
      g.within(`prox/${family.name}`, () =>
        emitFamily(g, family, at, lambda, stepped, parameters, alive, shrinkages, options.adaptivity ?? 0),
      );
    }
  } else {
    for (const layer of options.layers) {
      const { group } = at(layer.parameter);
      const factor = group * (layer.groupFactor ?? 1);
      if (factor === 0 || !parameters.has(layer.parameter)) continue;
      g.within(`prox/${layer.parameter}`, () => {
        const w = parameters.get(layer.parameter)!;
        const norm = g.reduceL2(w, [layer.outAxis], true);
        parameters.set(
          layer.parameter,
          g.mul(w, g.sub(g.scalar(1), shrinkage(g, norm, threshold(layer.parameter, [layer.outAxis], factor)))),
        );
      });
    }
  }

  for (const layer of options.layers) {
    const w = parameters.get(layer.parameter);
    if (!w) continue;
    const c = at(layer.parameter);
    const exclusive = c.exclusive * (layer.exclusiveFactor ?? 1);
    g.within(`prox/${layer.parameter}`, () => {
      let next = w;
      if (exclusive > 0) {
        const t = g.mul(
          // Not ReduceL1: over an outer axis onnxruntime's kernel for it is several times slower than these two.
          g.reduceSum(g.abs(next), [layer.outAxis], true),
          threshold(layer.parameter, [layer.outAxis], exclusive),
        );
        next = softThreshold(g, next, t);
      }
      if (c.l1 > 0) next = softThreshold(g, next, threshold(layer.parameter, [layer.outAxis], c.l1));
      if (c.l2 > 0) next = g.div(next, g.add(threshold(layer.parameter, [layer.outAxis], c.l2), 1));
      parameters.set(layer.parameter, next);
    });
  }
  return { parameters, alive, shrinkage: typical(g, shrinkages) };
}

/** Over the living units of a family: the sum of the logarithms of their shrinkage, and their number. */
interface Shrinkage {
  readonly logarithms: Value;
  readonly count: Value;
}

/** A geometric mean: a few units that have hardly a gradient, and so an enormous step size, tell nothing of the others. */
function typical(g: GraphBuilder, families: readonly Shrinkage[]): Value | undefined {
  if (families.length === 0) return undefined;
  const sum = (values: readonly Value[]) => values.reduce((a, b) => g.add(a, b));
  const count = g.max(sum(families.map((f) => f.count)), 1);
  return g.exp(g.div(sum(families.map((f) => f.logarithms)), count));
}

/** The group step over one family: every unit's ‖w_g‖₂ runs over all of its parts. */
function emitFamily(
  g: GraphBuilder,
  family: PenalisedFamily,
  at: (parameter: string) => Coefficients,
  lambda: Value,
  stepped: ReadonlyMap<string, Stepped>,
  parameters: Map<string, Value>,
  alive: Map<string, Value>,
  shrinkages: Shrinkage[],
  adaptivity: number,
): void {
  const parts = family.parts.filter((p) => parameters.has(p.parameter));
  if (parts.length === 0) return;
  const sizes = new Float64Array(family.count);
  const felt = new Float64Array(family.count);
  const otherAxes = (w: Value, axis: number) => w.shape.flatMap((_, i) => (i === axis ? [] : [i]));
  let squares: Value | undefined;
  let steps: Value | undefined;
  const scaleFree = (part: UnitPart) => family.scaleFree?.has(part.parameter) === true;
  const free = parts.every(scaleFree) ? () => false : scaleFree;
  for (const part of parts) {
    const w = parameters.get(part.parameter)!;
    const axes = otherAxes(w, part.axis);
    const each = w.shape.reduce((n, d, i) => (i === part.axis ? n : n * d), 1);
    for (const unit of part.map) if (unit >= 0) sizes[unit] += each;
    if (free(part)) continue;
    for (const unit of part.map) if (unit >= 0) felt[unit] += each;
    const sum = toUnits(g, axes.length > 0 ? g.reduceSumSquare(w, axes) : g.mul(w, w), part.map, family.count);
    squares = squares ? g.add(squares, sum) : sum;
    // A scalar step size is the same for all parts; an elementwise one is averaged over the unit's elements.
    const size = stepped.get(part.parameter)!.stepSize(axes);
    const perUnit =
      size.shape.length === 0
        ? size
        : toUnits(g, g.mul(g.reshape(size, [w.shape[part.axis]]), each), part.map, family.count);
    if (perUnit.shape.length === 0) steps = perUnit;
    else steps = steps ? g.add(steps, perUnit) : perUnit;
  }
  const elementwise = steps!.shape.length > 0;
  const weights = parts.map((p) => p.parameter).filter((p) => stepped.get(p)!.value.shape.length > 1);
  const named = weights.length > 0 ? weights : parts.map((p) => p.parameter);
  const group = named.reduce((sum, p) => sum + at(p).group, 0) / named.length;
  const factor = Float32Array.from(sizes, (n, u) =>
    felt[u] > 0 ? (group * Math.sqrt(n) * (family.weight?.[u] ?? 1)) / (elementwise ? felt[u] : 1) : 0,
  );
  const norm = g.sqrt(squares!);
  const plain = g.mul(g.mul(steps!, lambda), g.constant(float32([family.count], factor)));
  const limit = adaptivity > 0 ? g.mul(plain, adaptiveFactor(g, norm, adaptivity)) : plain;
  const ratio = shrinkage(g, norm, limit);
  const scale = g.sub(g.scalar(1), ratio);
  const living = g.cast(g.greater(g.mul(squares!, scale), 0), 'float32');
  alive.set(family.name, living);
  if (group === 0) return;
  shrinkages.push({
    logarithms: g.reduceSum(g.mul(g.log(g.max(ratio, 1e-30)), living), [0]),
    count: g.reduceSum(living, [0]),
  });
  for (const part of parts) {
    const w = parameters.get(part.parameter)!;
    parameters.set(part.parameter, g.mul(w, toAxis(g, free(part) ? living : scale, part, w.shape)));
  }
}

/** (mean norm of the living units / ‖w_g‖)^a, within bounds. */
function adaptiveFactor(g: GraphBuilder, norm: Value, exponent: number): Value {
  const living = g.cast(g.greater(norm, 0), 'float32');
  const mean = g.div(g.reduceSum(norm, [0]), g.max(g.reduceSum(living, [0]), 1));
  const ratio = g.log(g.max(g.div(mean, g.max(norm, 1e-30)), 1e-30));
  return g.min(g.max(g.exp(g.mul(ratio, exponent)), LEAST_FACTOR), MOST_FACTOR);
}

/** min(1, t/‖w_g‖): the share of itself that a group loses; for t > 0 all of it where it is zero already. */
function shrinkage(g: GraphBuilder, norm: Value, t: Value): Value {
  return g.min(g.div(t, g.max(norm, 1e-30)), 1);
}

/** sign(w)·max(0, |w| − t), as w − clip(w, −t, t). */
function softThreshold(g: GraphBuilder, w: Value, t: Value): Value {
  return g.sub(w, g.max(g.min(w, t), g.neg(t)));
}

function isIdentity(map: Int32Array, count: number): boolean {
  return map.length === count && map.every((unit, i) => unit === i);
}

/** Sums a vector over an axis into a vector over units. */
function toUnits(g: GraphBuilder, vector: Value, map: Int32Array, count: number): Value {
  if (isIdentity(map, count)) return vector;
  const assignment = new Float32Array(map.length * count);
  map.forEach((unit, i) => {
    if (unit >= 0) assignment[i * count + unit] = 1;
  });
  const row = g.reshape(vector, [1, map.length]);
  return g.reshape(g.matMul(row, g.constant(float32([map.length, count], assignment), 'assignment')), [count]);
}

/** Spreads a vector over units to the axis of a parameter, shaped so that it broadcasts; elements of no unit get 1. */
export function toAxis(g: GraphBuilder, units: Value, part: UnitPart, shape: readonly number[]): Value {
  const spread = shape.map((d, i) => (i === part.axis ? d : 1));
  if (isIdentity(part.map, units.shape[0])) return g.reshape(units, spread);
  const extended = g.concat([units, g.constant(float32([1], [1]))], 0);
  const index = int32(
    [part.map.length],
    part.map.map((u) => (u < 0 ? units.shape[0] : u)),
  );
  const [picked] = g.emit(
    'Gather',
    [extended, g.constant(index, 'units')],
    [{ dtype: 'float32', shape: [part.map.length] }],
    { axis: 0 },
  );
  return g.reshape(picked, spread);
}
