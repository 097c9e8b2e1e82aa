import { TRAINING_OPSET } from '../onnx/builder.js';
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import { encodeModel } from '../onnx/write.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { openResident } from '../runtime/resident.js';
import type { Tensor } from '../tensor/tensor.js';
import { type StepGraph, type StepPorts, stepsOf, type TrainingRun } from './engine.js';

/** One step as a plain model: state and feeds in, `next:<state>` and `metric:<name>` out. */
export function stepModel(step: StepGraph): ModelProto {
  const { graph } = step;
  const named = [
    ...step.state.map((s) => ({ ...s, value: s.next, output: `next:${s.name}` })),
    ...step.metrics.map((m) => ({ dtype: 'float32' as const, shape: [], value: m.value, output: `metric:${m.name}` })),
  ];
  return makeModel(
    makeGraph({
      name: 'step',
      node: [...graph.nodes, ...named.map((n) => makeNode('Identity', [n.value], [n.output], {}, { name: n.output }))],
      initializer: graph.initializers,
      input: [...step.state, ...step.feeds].map((v) => makeValueInfo(v.name, v.dtype, v.shape)),
      output: named.map((n) => makeValueInfo(n.output, n.dtype, n.shape)),
    }),
    TRAINING_OPSET,
    [...graph.domains],
  );
}

/** A model that hands its inputs back: reads values of the device through its outputs. */
function readerModel(step: StepGraph): ModelProto {
  return makeModel(
    makeGraph({
      name: 'read',
      node: step.state.map((s) => makeNode('Identity', [`next:${s.name}`], [`read:${s.name}`])),
      input: step.state.map((s) => makeValueInfo(`next:${s.name}`, s.dtype, s.shape)),
      output: step.state.map((s) => makeValueInfo(`read:${s.name}`, s.dtype, s.shape)),
    }),
    TRAINING_OPSET,
  );
}

/** A step as plain data, for providers without a `Loop` of their own. */
export interface CompiledResident extends StepPorts {
  /** The model of one step, encoded. */
  readonly bytes: Uint8Array;
  /** The model that hands the state back, encoded. */
  readonly reader: Uint8Array;
}

export interface ResidentOptions {
  readonly provider: ConcreteProvider;
  readonly threads: number;
}

export function compileResident(step: StepGraph): CompiledResident {
  const { state, feeds, metrics } = step;
  return { bytes: encodeModel(stepModel(step)), reader: encodeModel(readerModel(step)), state, feeds, metrics };
}

/** Runs a compiled step once per batch in this thread: its state outputs stay on the device and are fed back to the next. */
export async function openResidentRun(
  step: CompiledResident,
  initial: ReadonlyMap<string, Tensor>,
  options: ResidentOptions,
): Promise<TrainingRun> {
  const outputs = step.state.map((s) => `next:${s.name}`);
  const session = await openResident(step.bytes, options.provider, outputs);
  let reader: Awaited<ReturnType<typeof openResident>> | undefined;
  let current = new Map(step.state.map((s) => [s.name, session.upload(initial.get(s.name)!)]));
  return {
    engine: 'onnxruntime',
    ...options,
    async run(feeds) {
      const steps = stepsOf(step, feeds);
      const metrics = Object.fromEntries(step.metrics.map((m) => [m.name, new Float32Array(steps)]));
      for (let i = 0; i < steps; i++) {
        const inputs = new Map(current);
        for (const f of step.feeds) inputs.set(f.name, session.upload(row(feeds[f.name], i)));
        const results = await session.run(inputs);
        for (const m of step.metrics)
          metrics[m.name][i] = Number(session.read(results.get(`metric:${m.name}`)!).data[0]);
        for (const s of step.state) {
          current.get(s.name)!.dispose();
          current.set(s.name, results.get(`next:${s.name}`)!);
        }
      }
      return metrics;
    },
    async state() {
      reader ??= await openResident(step.reader, options.provider, []);
      const inputs = new Map([...current].map(([name, value]) => [`next:${name}`, value]));
      const results = await reader.run(inputs);
      return new Map(step.state.map((s) => [s.name, reader!.read(results.get(`read:${s.name}`)!)]));
    },
    async close() {
      for (const value of current.values()) value.dispose();
      current = new Map();
      await reader?.close();
      await session.close();
    },
  };
}

/** @returns row `i` along the leading axis, as a view. */
function row(tensor: Tensor, i: number): Tensor {
  const dims = tensor.dims.slice(1);
  const size = dims.reduce((a, b) => a * b, 1);
  return { dtype: tensor.dtype, dims, data: tensor.data.slice(i * size, (i + 1) * size) as Tensor['data'] };
}
