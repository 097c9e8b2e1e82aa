import { TRAINING_OPSET } from '../onnx/builder.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import { encodeModel } from '../onnx/write.js';
import { openSession } from '../runtime/session.js';
import { bool, int64, type Tensor } from '../tensor/tensor.js';
import { type StepGraph, type StepPorts, stepsOf, type TrainingRun } from './engine.js';

/**
 * Wraps a step into one ONNX `Loop` whose carried values are the state: K batches are trained by one run, and nothing
 * crosses into JavaScript between them. In: `steps` (trip count), `state:<name>`, `feed:<name>` with a leading axis of
 * steps. Out: `next:<name>` and `metric:<name>`, one number per step.
 * Source: ONNX Loop, opset 16.
 */
export function loopModel(step: StepGraph): ModelProto {
  const { graph } = step;
  const body = makeGraph({
    name: 'step',
    node: [
      makeNode('Identity', ['loop/go'], ['loop/go_on'], {}, { name: 'loop/go_on' }),
      ...step.feeds.map((f) =>
        makeNode('Gather', [`feed:${f.name}`, 'loop/iteration'], [f.name], { axis: 0 }, { name: `feed/${f.name}` }),
      ),
      ...graph.nodes,
    ],
    input: [
      makeValueInfo('loop/iteration', 'int64', []),
      makeValueInfo('loop/go', 'bool', []),
      ...step.state.map((s) => makeValueInfo(s.name, s.dtype, s.shape)),
    ],
    output: [
      makeValueInfo('loop/go_on', 'bool', []),
      ...step.state.map((s) => makeValueInfo(s.next, s.dtype, s.shape)),
      ...step.metrics.map((m) => makeValueInfo(m.value, 'float32', [])),
    ],
  });
  const outer = makeGraph({
    name: 'train',
    node: [
      makeNode(
        'Loop',
        ['steps', 'loop/start', ...step.state.map((s) => `state:${s.name}`)],
        [...step.state.map((s) => `next:${s.name}`), ...step.metrics.map((m) => `metric:${m.name}`)],
        { body: { graph: body } },
        { name: 'train' },
      ),
    ],
    initializer: [makeTensor('loop/start', bool([], [true])), ...graph.initializers],
    input: [
      makeValueInfo('steps', 'int64', []),
      ...step.state.map((s) => makeValueInfo(`state:${s.name}`, s.dtype, s.shape)),
      ...step.feeds.map((f) => makeValueInfo(`feed:${f.name}`, f.dtype, ['steps', ...f.shape])),
    ],
    output: [
      ...step.state.map((s) => makeValueInfo(`next:${s.name}`, s.dtype, s.shape)),
      ...step.metrics.map((m) => makeValueInfo(`metric:${m.name}`, 'float32', ['steps'])),
    ],
  });
  return makeModel(outer, TRAINING_OPSET, [...graph.domains]);
}

export interface LoopOptions {
  readonly provider: 'cpu' | 'cuda';
  readonly threads: number;
}

/** A compiled step as plain data, which can be handed to another thread. */
export interface CompiledStep extends StepPorts {
  /** The Loop model, encoded. */
  readonly bytes: Uint8Array;
}

export function compileLoop(step: StepGraph): CompiledStep {
  const { state, feeds, metrics } = step;
  return { bytes: encodeModel(loopModel(step)), state, feeds, metrics };
}

/** Runs a compiled Loop in this thread; the state is kept between runs. For providers that run `Loop` where the state lives. */
export async function openLoop(
  step: CompiledStep,
  initial: ReadonlyMap<string, Tensor>,
  options: LoopOptions,
): Promise<TrainingRun> {
  const { provider, threads } = options;
  const session = await openSession(step.bytes, { provider, threads: { intraOp: threads }, spinning: false });
  let current = new Map(step.state.map((s) => [s.name, initial.get(s.name)!]));
  return {
    engine: 'onnxruntime',
    ...options,
    async run(feeds) {
      const inputs: Record<string, Tensor> = { steps: int64([], [stepsOf(step, feeds)]) };
      for (const s of step.state) inputs[`state:${s.name}`] = current.get(s.name)!;
      for (const f of step.feeds) inputs[`feed:${f.name}`] = feeds[f.name];
      const outputs = await session.run(inputs);
      current = new Map(step.state.map((s) => [s.name, outputs[`next:${s.name}`]]));
      return Object.fromEntries(step.metrics.map((m) => [m.name, outputs[`metric:${m.name}`].data as Float32Array]));
    },
    async state() {
      return new Map([...current].map(([name, t]) => [name, { ...t, data: t.data.slice() as Tensor['data'] }]));
    },
    close: () => session.close(),
  };
}
