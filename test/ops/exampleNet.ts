import { Attributes } from '../../src/onnx/attributes.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto, NodeProto } from '../../src/onnx/proto.js';
import type { ChannelNode, ChannelValue, Example, NormaliseContext, OpSpec } from '../../src/ops/spec.js';
import { openSession, type Session } from '../../src/runtime/session.js';
import { Random } from '../../src/tensor/random.js';
import { type DType, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

/** An example with its inputs drawn: one node, as a user's file would hold it. */
export interface ExampleNet {
  readonly spec: OpSpec;
  readonly example: Example;
  readonly opset: number;
  readonly node: NodeProto;
  /** All inputs by name: what is fed and what is an initializer. */
  readonly values: Readonly<Record<string, Tensor>>;
  /** Names of the initializers. */
  readonly parameters: ReadonlySet<string>;
  /** Names of the float inputs to differentiate by. */
  readonly wanted: readonly string[];
  readonly outputs: readonly string[];
}

export function netOf(spec: OpSpec, example: Example, real: 'float32' | 'float64' = 'float32'): ExampleNet {
  const random = new Random(example.title.length + 31 * spec.op.length);
  const [low, high] = example.range ?? [-1, 1];
  const values: Record<string, Tensor> = {};
  const wanted: string[] = [];
  const parameters = new Set<string>();
  const input = example.inputs.map((x, i) => {
    if (x === null) return '';
    const name = `in${i}`;
    const given = 'dtype' in x;
    const isParameter = example.parameters?.includes(i) ?? false;
    const tensor: Tensor = given
      ? x
      : {
          dtype: 'float32',
          dims: x,
          data: Float32Array.from({ length: sizeOf(x) }, () => low + (high - low) * random.uniform()),
        };
    values[name] = tensor.dtype === 'float32' ? realTensor(tensor, real) : tensor;
    if (isParameter) parameters.add(name);
    if (tensor.dtype === 'float32' && !(given && isParameter)) wanted.push(name);
    return name;
  });
  const outputs = Array.from({ length: example.outputs ?? 1 }, (_, i) => `out${i}`);
  const more = { name: 'node', domain: spec.domain ?? '' };
  const node = makeNode(spec.op, input, outputs, example.attributes, more);
  const opset = example.opset ?? Math.max(18, spec.since ?? 0);
  return { spec, example, opset, node, values, parameters, wanted, outputs };
}

/** @returns a model of the node alone; initializers may be made inputs, and other values given. */
export function modelOf(
  net: ExampleNet,
  {
    fed = net.wanted,
    values = net.values,
    nodes = [net.node],
    opset = net.opset,
    outputs = net.outputs,
  }: ModelParts = {},
): ModelProto {
  const all = Object.entries(values);
  const isInput = (name: string) => fed.includes(name) || !net.parameters.has(name);
  const known = new Set(Object.keys(net.values));
  const graph = makeGraph({
    node: [...nodes],
    input: all.filter(([n]) => known.has(n) && isInput(n)).map(([n, t]) => makeValueInfo(n, t.dtype, t.dims)),
    initializer: all.filter(([n]) => !known.has(n) || !isInput(n)).map(([n, t]) => makeTensor(n, t)),
    output: outputs.map((name) => ({ name, metadataProps: [] })),
  });
  return makeModel(graph, opset, net.spec.domain ? [net.spec.domain] : []);
}

interface ModelParts {
  readonly fed?: readonly string[];
  readonly values?: Readonly<Record<string, Tensor>>;
  readonly nodes?: readonly NodeProto[];
  readonly opset?: number;
  readonly outputs?: readonly string[];
}

/** @returns what is fed to such a model. */
export function feedsOf(
  net: ExampleNet,
  values: Readonly<Record<string, Tensor>> = net.values,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(values).filter(
      ([name]) => name in net.values && (net.wanted.includes(name) || !net.parameters.has(name)),
    ),
  );
}

export function open(model: ModelProto): Promise<Session> {
  return openSession(model, { threads: { intraOp: 1 } });
}

export async function run(model: ModelProto, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
  const session = await open(model);
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

/**
 * @returns the node as channel rules see it. Initializers are known, all their elements in every run; or else the first
 * element changes with a free dimension, as a batch size does that Shape has read.
 */
export function channelNodeOf(
  net: ExampleNet,
  results: Readonly<Record<string, Tensor>>,
  stable: 'all' | 'first varies' = 'all',
): ChannelNode {
  const value = (name: string): ChannelValue => {
    const tensor = net.values[name] ?? results[name];
    const mask =
      stable === 'all' ? stable : Uint8Array.from({ length: sizeOf(tensor.dims) }, (_, i) => (i === 0 ? 0 : 1));
    const known = net.parameters.has(name) ? { known: { tensor, stable: mask } } : {};
    return { name, dtype: tensor.dtype, shape: tensor.dims, ...known };
  };
  return {
    op: net.node.opType,
    name: 'node',
    opset: net.opset,
    attrs: new Attributes(net.node),
    inputs: net.node.input.map((name) => (name ? value(name) : undefined)),
    outputs: net.outputs.map(value),
  };
}

/** @returns the node in the training graph's form, with the constants that this adds. */
export function normalised(net: ExampleNet): { nodes: NodeProto[]; constants: Record<string, Tensor> } {
  const constants: Record<string, Tensor> = {};
  let count = 0;
  const context: NormaliseContext = {
    opset: net.opset,
    shape: (name) => net.values[name]?.dims,
    known: (name) => (net.parameters.has(name) ? net.values[name] : constants[name]),
    constant: (tensor) => {
      const name = `constant${count++}`;
      constants[name] = tensor;
      return name;
    },
    fresh: (hint) => `${hint}_${count++}`,
    elements: () => undefined,
    holds: () => {},
  };
  return { nodes: net.spec.normalise?.(net.node, context) ?? [net.node], constants };
}

export function realTensor(tensor: Tensor, dtype: 'float32' | 'float64'): Tensor {
  if (tensor.dtype === dtype) return tensor;
  const numbers = Array.from(tensor.data as ArrayLike<number>);
  return {
    dtype,
    dims: tensor.dims,
    data: dtype === 'float64' ? Float64Array.from(numbers) : Float32Array.from(numbers),
  };
}

export function isReal(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64';
}

export function numbers(tensor: Tensor): number[] {
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}
