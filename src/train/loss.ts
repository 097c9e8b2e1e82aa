import type { GraphBuilder, Value } from '../onnx/builder.js';
import type { LossName } from '../options.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';

/** A loss emitted into a step graph. */
export interface EmittedLoss {
  /** Scalar: mean over the batch. */
  readonly loss: Value;
  /** ∂loss/∂output, shape of the output. */
  readonly seed: Value;
  /** Scalar: number of right predictions in the batch, where that means something. */
  readonly correct?: Value;
}

/** What the targets of a loss look like for an output of the given shape (batch included). */
export function targetOf(loss: LossName, output: readonly number[]): { dtype: 'int64' | 'float32'; shape: number[] } {
  if (loss !== 'cross-entropy') return { dtype: 'float32', shape: [...output] };
  return { dtype: 'int64', shape: output.filter((_, axis) => axis !== classAxis(output)) };
}

/** Classes stand on axis 1, whatever follows (segmentation: [N, C, H, W]). */
function classAxis(output: readonly number[]): number {
  return output.length === 1 ? 0 : 1;
}

/** @returns the targets that scores (logits) tell: the best class of every row, or as numbers a yes or no of every score. */
export function answersIn({ dims, data }: Tensor, dtype: Tensor['dtype']): Tensor {
  const scores = data as Float32Array;
  if (dtype === 'float32')
    return float32(
      dims,
      scores.map((x) => (x > 0 ? 1 : 0)),
    );
  const axis = classAxis(dims);
  const classes = dims[axis];
  const inner = sizeOf(dims.slice(axis + 1));
  const found = new BigInt64Array(scores.length / classes);
  for (let i = 0; i < found.length; i++) {
    const from = Math.floor(i / inner) * classes * inner + (i % inner);
    let best = 0;
    for (let c = 1; c < classes; c++) if (scores[from + c * inner] > scores[from + best * inner]) best = c;
    found[i] = BigInt(best);
  }
  return { dtype: 'int64', dims: dims.filter((_, a) => a !== axis), data: found };
}

/** How much of a classifier's loss is learnt from another model's scores. */
export interface Distillation {
  /** Most that the teacher has to say in the gradient, 0 … 1; the labels have the rest. */
  readonly share: number;
  /** Scores are divided by it before they become probabilities: small ones tell more. */
  readonly temperature: number;
}

/** An output that is compared with targets of its own. */
export interface Matched {
  /** The user's name of it. */
  readonly name: string;
  /** What its loss counts times: outputs may be of any scale. */
  readonly factor: number;
}

/** The name of the value that a loss is computed on: a Sigmoid before binary cross-entropy is looked through. */
export function scoresOf(
  graph: Pick<TrainingGraph, 'nodes' | 'outputs'>,
  options: { readonly loss: LossName; readonly output: number },
): string {
  const { name } = graph.outputs[options.output];
  const maker = graph.nodes.find((n) => n.output.includes(name));
  return options.loss === 'binary-cross-entropy' && maker?.opType === 'Sigmoid' ? maker.input[0] : name;
}

/**
 * Emits a loss and its gradient with respect to the model's output (logits, for the two entropies).
 * @param teacher scores of the shape of the output; for the two entropies. They have a say in the gradient, not in the
 *   loss, by how much better than the output they are on the batch: nothing is learnt from a teacher that is no better.
 */
export function emitLoss(
  g: GraphBuilder,
  name: LossName,
  output: Value,
  target: Value,
  teacher?: Distillation & { readonly scores: Value },
): EmittedLoss {
  return g.within('loss', () => {
    if (name === 'mean-squared-error') return meanSquaredError(g, output, target);
    const emit = name === 'cross-entropy' ? crossEntropy : binaryCrossEntropy;
    const own = emit(g, output, target);
    if (!teacher) return own;
    const { scores, temperature } = teacher;
    const taught = emit(g, scores, target).loss;
    const better = g.max(g.sub(g.scalar(1), g.div(taught, g.max(own.loss, 1e-30))), 0);
    const share = g.mul(better, teacher.share);
    const learn = name === 'cross-entropy' ? softened : softenedBinary;
    const seed = learn(g, g.mul(output, 1 / temperature), g.mul(scores, 1 / temperature));
    // KL at a temperature T counts T² times, for its gradients shrink so; the chain rule through x/T takes one T back.
    const blend = g.add(g.mul(own.seed, g.sub(g.scalar(1), share)), g.mul(seed, g.mul(share, temperature)));
    return { ...own, seed: blend };
  });
}

/**
 * ∂/∂x of the mean of KL(softmax(z) ‖ softmax(x)): (softmax(x) − softmax(z))/rows.
 * Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015, eq. 2 and section 2.
 */
function softened(g: GraphBuilder, x: Value, z: Value): Value {
  const axis = classAxis(x.shape);
  const rows = x.shape.reduce((n, d, i) => (i === axis ? n : n * d), 1);
  const softmax = (v: Value) => {
    const e = g.exp(g.sub(v, g.reduceMax(v, [axis], true)));
    return g.div(e, g.reduceSum(e, [axis], true));
  };
  return g.mul(g.sub(softmax(x), softmax(z)), 1 / rows);
}

/** ∂/∂x of the mean of KL(σ(z) ‖ σ(x)) over all elements: (σ(x) − σ(z))/n. */
function softenedBinary(g: GraphBuilder, x: Value, z: Value): Value {
  const n = x.shape.reduce((a, b) => a * b, 1);
  return g.mul(g.sub(g.sigmoid(x), g.sigmoid(z)), 1 / n);
}

/** mean of logsumexp(x) − x[target]; ∂/∂x = (softmax(x) − onehot)/rows. */
function crossEntropy(g: GraphBuilder, x: Value, target: Value): EmittedLoss {
  const axis = classAxis(x.shape);
  const classes = x.shape[axis];
  const rows = x.shape.reduce((n, d, i) => (i === axis ? n : n * d), 1);
  const index = x.shape.map((d, i) => (i === axis ? d : 1));
  const range = g.constant(
    { dtype: 'int64', dims: index, data: BigInt64Array.from({ length: classes }, (_, i) => BigInt(i)) },
    'classes',
  );
  const hit = g.equal(g.unsqueeze(target, [axis]), range);
  const onehot = g.cast(hit, 'float32');
  const top = g.reduceMax(x, [axis], true);
  const shifted = g.sub(x, top);
  const e = g.exp(shifted);
  const total = g.reduceSum(e, [axis], true);
  const softmax = g.div(e, total);
  const picked = g.reduceSum(g.mul(shifted, onehot), [axis], true);
  const all = x.shape.map((_, i) => i);
  const loss = g.mul(g.reduceSum(g.sub(g.log(total), picked), all), 1 / rows);
  const seed = g.mul(g.sub(softmax, onehot), 1 / rows);
  // A row is right where its target's logit reaches the maximum.
  const correct = g.reduceSum(g.cast(g.greaterOrEqual(picked, 0), 'float32'), all);
  return { loss, seed, correct };
}

/** mean of max(x,0) − x·t + log(1 + exp(−|x|)); ∂/∂x = (σ(x) − t)/n. */
function binaryCrossEntropy(g: GraphBuilder, x: Value, target: Value): EmittedLoss {
  const n = x.shape.reduce((a, b) => a * b, 1);
  const all = x.shape.map((_, i) => i);
  const tail = g.log(g.add(g.exp(g.neg(g.abs(x))), 1));
  const each = g.add(g.sub(g.relu(x), g.mul(x, target)), tail);
  const right = g.equal(g.cast(g.greater(x, 0), 'float32'), g.cast(g.greater(target, 0.5), 'float32'));
  return {
    loss: g.mul(g.reduceSum(each, all), 1 / n),
    seed: g.mul(g.sub(g.sigmoid(x), target), 1 / n),
    correct: g.mul(g.reduceSum(g.cast(right, 'float32'), all), x.shape[0] / n),
  };
}

/** mean of (x − t)²; ∂/∂x = 2(x − t)/n. */
function meanSquaredError(g: GraphBuilder, x: Value, target: Value): EmittedLoss {
  const n = x.shape.reduce((a, b) => a * b, 1);
  const difference = g.sub(x, target);
  return {
    loss: g.mul(
      g.reduceSumSquare(
        difference,
        x.shape.map((_, i) => i),
      ),
      1 / n,
    ),
    seed: g.mul(difference, 2 / n),
  };
}
