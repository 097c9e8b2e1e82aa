import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto, NodeProto, TensorProto } from '../../src/onnx/proto.js';
import { int64 } from '../../src/tensor/tensor.js';
import { drawn } from './evaluate.js';

export interface TransformerOptions {
  readonly blocks: number;
  readonly tokens: number;
  readonly width: number;
  readonly heads: number;
  readonly classes: number;
}

/** An encoder over [N, tokens, width] as exporters write it: attention by Reshape, Transpose and MatMul; the mean is classified. */
export function transformer({ blocks, tokens, width, heads, classes }: TransformerOptions): ModelProto {
  const node: NodeProto[] = [];
  const initializer: TensorProto[] = [];
  let seed = 0;
  const op = (type: string, inputs: string[], attributes: Parameters<typeof makeNode>[3] = {}): string => {
    const name = `${type}_${node.length}`;
    node.push(makeNode(type, inputs, [name], attributes, { name }));
    return name;
  };
  const weight = (name: string, dims: number[], scale: number, shift = 0): string => {
    const tensor = drawn(dims, ++seed, scale);
    const data = (tensor.data as Float32Array).map((x) => x + shift);
    initializer.push(makeTensor(name, { ...tensor, data }));
    return name;
  };
  const ints = (values: number[]): string => {
    const name = `ints_${initializer.length}`;
    initializer.push(makeTensor(name, int64([values.length], values)));
    return name;
  };
  const dense = (x: string, name: string, from: number, to: number): string =>
    op('Add', [
      op('MatMul', [x, weight(`${name}.w`, [from, to], 1 / Math.sqrt(from))]),
      weight(`${name}.b`, [to], 0.02),
    ]);
  const norm = (x: string, name: string): string =>
    op('LayerNormalization', [x, weight(`${name}.scale`, [width], 0.05, 1), weight(`${name}.bias`, [width], 0.05)]);
  const size = width / heads;
  const split = (x: string, perm: number[]): string =>
    op('Transpose', [op('Reshape', [x, ints([-1, tokens, heads, size])])], { perm });

  let x = 'input';
  for (let i = 0; i < blocks; i++) {
    const n = norm(x, `block${i}.norm1`);
    const [q, k, v] = ['q', 'k', 'v'].map((part) => dense(n, `block${i}.${part}`, width, width));
    const scores = op('MatMul', [split(q, [0, 2, 1, 3]), split(k, [0, 2, 3, 1])]);
    const scale = weight(`block${i}.scale`, [], 0, 1 / Math.sqrt(size));
    const mixed = op('MatMul', [op('Softmax', [op('Mul', [scores, scale])], { axis: -1 }), split(v, [0, 2, 1, 3])]);
    const joined = op('Reshape', [op('Transpose', [mixed], { perm: [0, 2, 1, 3] }), ints([-1, tokens, width])]);
    x = op('Add', [x, dense(joined, `block${i}.out`, width, width)]);
    const hidden = op('Relu', [dense(norm(x, `block${i}.norm2`), `block${i}.up`, width, 2 * width)]);
    x = op('Add', [x, dense(hidden, `block${i}.down`, 2 * width, width)]);
  }
  dense(op('ReduceMean', [x], { axes: [1], keepdims: 0 }), 'head', width, classes);
  node[node.length - 1].output = ['logits'];
  const graph = makeGraph({
    node,
    initializer,
    input: [makeValueInfo('input', 'float32', ['N', tokens, width])],
    output: [makeValueInfo('logits', 'float32', ['N', classes])],
  });
  return makeModel(graph, 17);
}
