import { CgesError } from '../errors.js';
import { TRAINING_OPSET } from '../onnx/builder.js';
import type { ModelProto } from '../onnx/proto.js';
import { openSession } from '../runtime/session.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Probed } from './fed.js';
import { inlined } from './fed.js';
import type { TrainingGraph } from './training-graph.js';
import { float32Feeds, modelOf } from './training-model.js';

/** Largest difference, relative to the largest value: rounding of float32, and of the half precisions. */
const TOLERANCE = { single: 1e-3, half: 5e-2 };

/** The user's model at the training graph's batch, and the values there that the graph's outputs stand for. */
export interface Original extends Probed {
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly targets: readonly string[];
}

/**
 * Runs the user's model and the training graph on the same values: what is trained must be what is deployed.
 *
 * **Throws** NO_GRADIENT when they differ: an operator's form was not understood.
 */
export async function agreeWith(original: Original, graph: TrainingGraph): Promise<void> {
  const { feeds, targets, path } = original;
  const model = inlined(original);
  const output = targets.map((name) => ({ name, metadataProps: [] }));
  const expected = await runOnce({ ...model, graph: { ...model.graph, output, valueInfo: [] } }, feeds, path);
  const got = await runOnce(modelOf(graph, model), float32Feeds(feeds), path).catch((cause: unknown) => {
    throw noForm(cause);
  });
  graph.outputs.forEach(({ name, of }, i) => {
    const drift = driftOf(expected[targets[i]], got[name]);
    const allowed = expected[targets[i]].dtype === 'float32' ? TOLERANCE.single : TOLERANCE.half;
    if (drift <= allowed) return;
    throw new CgesError(
      'NO_GRADIENT',
      `the training graph differs from the model by ${drift.toPrecision(2)} of the largest value`,
      {
        file: path,
        value: of[0],
        hint: 'an operator of this model is not understood: please report it with the model',
      },
    );
  });
}

/**
 * Runs the user's model and what it became without its control flow.
 *
 * **Throws** NO_GRADIENT when their outputs of floats differ.
 */
export async function sameOutputs(user: Omit<Original, 'targets'>, resolved: Probed): Promise<void> {
  if (user.model === resolved.model) return;
  const expected = await runOnce(inlined(user), user.feeds, user.path);
  const got = await runOnce(inlined(resolved), user.feeds, user.path);
  for (const [name, tensor] of Object.entries(expected)) {
    if (!isFloat(tensor.dtype)) continue;
    const drift = driftOf(tensor, got[name]);
    if (drift <= (tensor.dtype === 'float32' ? TOLERANCE.single : TOLERANCE.half)) continue;
    throw new CgesError(
      'NO_GRADIENT',
      `without its control flow the model differs from itself by ${drift.toPrecision(2)}`,
      {
        file: user.path,
        value: name,
        hint: 'a loop or branch of this model is not understood: please report it with the model',
      },
    );
  }
}

/** @returns the error for a training graph that onnxruntime refuses although it runs the model. */
export function noForm(cause: unknown): CgesError {
  const place = cause instanceof CgesError ? cause.place : {};
  const what = `${place.op ?? 'an operator'} has no form in opset ${TRAINING_OPSET}, in which gradients are made`;
  return new CgesError('NO_GRADIENT', what, { ...place, cause });
}

/** @returns the largest difference relative to the largest value; infinite where shapes or infinities differ. */
function driftOf(expected: Tensor, got: Tensor): number {
  if (String(expected.dims) !== String(got.dims)) return Number.POSITIVE_INFINITY;
  if (!isFloat(expected.dtype) || !isFloat(got.dtype)) return Number.POSITIVE_INFINITY;
  const [a, b] = [toFloat32(expected).data, toFloat32(got).data];
  let largest = 1e-6;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i])) continue;
    if (!Number.isFinite(a[i]) || !Number.isFinite(b[i])) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, Math.abs(a[i]));
    worst = Math.max(worst, Math.abs(a[i] - b[i]));
  }
  return worst / largest;
}

async function runOnce(
  model: ModelProto,
  feeds: Readonly<Record<string, Tensor>>,
  file?: string,
): Promise<Record<string, Tensor>> {
  const session = await openSession(model, { file });
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}
