import type { ValueType } from '../../onnx/builder.js';
import { makeGraph, makeModel } from '../../onnx/make.js';
import { TRAINING_OPSET } from '../../onnx/builder.js';
import { decodeModel } from '../../onnx/read.js';
import { encodeModel } from '../../onnx/write.js';
import { loadTfjs } from '../../runtime/tfjs.js';
import { sizeOf, type Tensor } from '../../tensor/tensor.js';
import { type StepGraph, type StepPorts, stepsOf, type TrainingRun } from '../engine.js';
import { Device, type Elements, elementsOf } from './device.js';
import { isPlain, laid, type Order } from './order.js';
import { planStep } from './plan.js';
import { StepSession } from './session.js';

/** A step as plain data, which can be handed to another thread. */
export interface CompiledTfjsStep extends StepPorts {
  /** The graph, encoded. */
  readonly bytes: Uint8Array;
  /** Types of what its nodes and initializers make. */
  readonly values: ReadonlyMap<string, ValueType>;
}

export interface TfjsOptions {
  readonly threads: number;
}

export function compileTfjs({ graph, state, feeds, metrics }: StepGraph): CompiledTfjsStep {
  const { nodes, initializers, domains, values } = graph;
  const whole = makeGraph({ name: 'step', node: [...nodes], initializer: [...initializers] });
  return { bytes: encodeModel(makeModel(whole, TRAINING_OPSET, [...domains])), values, state, feeds, metrics };
}

/**
 * Runs a step in this thread with TensorFlow's kernels, as one graph. The state stays on the device.
 *
 * **Throws** PROVIDER_UNAVAILABLE where there is no TensorFlow.js, or where it lacks operators of the step.
 */
export async function openTfjs(
  step: CompiledTfjsStep,
  initial: ReadonlyMap<string, Tensor>,
  { threads }: TfjsOptions,
): Promise<TrainingRun> {
  const { binding, provider } = loadTfjs(threads);
  const device = new Device(binding);
  const { graph } = decodeModel(step.bytes).model;
  const plan = planStep(device, { nodes: graph.node, initializers: graph.initializer, values: step.values }, step);
  const first = step.state.map((s, i) => turned(device, initial.get(s.name)!, plan.state[i]));
  const session = StepSession.open(device, plan, first);
  for (const id of first) device.free(id);
  return {
    engine: 'tfjs',
    provider,
    threads,
    async run(feeds) {
      const steps = stepsOf(step, feeds);
      const rows = step.feeds.map((f) => ({ shape: f.shape, size: sizeOf(f.shape), data: elementsOf(feeds[f.name]) }));
      const reported: number[][] = [];
      for (let i = 0; i < steps; i++) {
        const fed = rows.map(({ shape, size, data }) => device.upload(shape, data.subarray(i * size, (i + 1) * size)));
        reported.push(session.run(fed));
        for (const id of fed) device.free(id);
      }
      return Object.fromEntries(
        step.metrics.map((m, k) => [
          m.name,
          scalars(
            device,
            reported.map((r) => r[k]),
          ),
        ]),
      );
    },
    async state() {
      const held = session.state();
      return new Map(step.state.map((s, i) => [s.name, plainTensor(device, held[i], s, plan.state[i])]));
    },
    async close() {
      session.close();
    },
  };
}

/** Reads and frees one scalar per step. They are read at the end of a run: every read waits for the device. */
function scalars(device: Device, ids: readonly number[]): Float32Array {
  return Float32Array.from(ids, (id) => {
    const [value] = device.download(id);
    device.free(id);
    return value;
  });
}

function turned(device: Device, tensor: Tensor, order: Order): number {
  const id = device.upload(tensor.dims, elementsOf(tensor));
  return isPlain(tensor.dims, order) && laid(tensor.dims, order).join() === tensor.dims.join()
    ? id
    : transposed(device, id, order);
}

/** Reads a value row by row, and frees it. */
function plainTensor(device: Device, id: number, { dtype, shape }: ValueType, order: Order): Tensor {
  const back = order.map((_, axis) => order.indexOf(axis));
  const row = transposed(device, id, back);
  const data = device.download(row);
  device.free(row);
  return { dtype, dims: shape, data: dtype === 'int64' ? BigInt64Array.from(data, BigInt) : (data as Float32Array) };
}

function transposed(device: Device, id: number, perm: Order): number {
  const places = device.upload([perm.length], Int32Array.from(perm) satisfies Elements);
  const [made] = device.execute('Transpose', {}, [id, places]);
  for (const each of [places, id]) device.free(each);
  return made;
}
