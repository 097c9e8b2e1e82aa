import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../src/onnx/make.js';
import type { ModelProto, NodeProto, TensorProto } from '../src/onnx/proto.js';
import { Random } from '../src/tensor/random.js';
import { float32, int64, sizeOf } from '../src/tensor/tensor.js';

export interface EncoderOptions {
  readonly seed?: number;
  readonly layers?: number;
  readonly tokens?: number;
  readonly width?: number;
  readonly heads?: number;
  /** Width of the inner dense layer. Default: four times the width. */
  readonly inner?: number;
  readonly classes?: number;
}

/**
 * A transformer encoder of BERT's size (85 million parameters) over [N, tokens, width], without the embedding; the first
 * token is classified. Attention and GELU are written as exporters write them.
 *
 * **Source**: Devlin et al., "BERT", NAACL 2019: 12 layers, width 768, 12 heads.
 */
export function encoder(options: EncoderOptions = {}): ModelProto {
  const { seed = 0, layers = 12, tokens = 128, width = 768, heads = 12, inner = 4 * width, classes = 2 } = options;
  const graph = new EncoderGraph(seed);
  let x = 'input';
  for (let i = 0; i < layers; i++) {
    const name = `layer${i}`;
    const mixed = attention(graph, x, name, { tokens, width, heads });
    x = graph.norm(graph.op('Add', [x, graph.dense(mixed, `${name}.out`, width, width)]), `${name}.norm1`, width);
    const hidden = gelu(graph, graph.dense(x, `${name}.up`, width, inner));
    x = graph.norm(graph.op('Add', [x, graph.dense(hidden, `${name}.down`, inner, width)]), `${name}.norm2`, width);
  }
  const first = graph.op('Gather', [x, graph.whole([], [0])], { axis: 1 });
  graph.dense(first, 'head', width, classes);
  return graph.model([tokens, width], classes);
}

function attention(
  graph: EncoderGraph,
  x: string,
  name: string,
  { tokens, width, heads }: { tokens: number; width: number; heads: number },
): string {
  const size = width / heads;
  const [q, k, v] = ['q', 'k', 'v'].map((part) => graph.dense(x, `${name}.${part}`, width, width));
  const split = (value: string, perm: readonly number[]) =>
    graph.op('Transpose', [graph.op('Reshape', [value, graph.whole([4], [-1, tokens, heads, size])])], { perm });
  const scores = graph.op('MatMul', [split(q, [0, 2, 1, 3]), split(k, [0, 2, 3, 1])]);
  const scaled = graph.op('Div', [scores, graph.number(Math.sqrt(size))]);
  const mixed = graph.op('MatMul', [graph.op('Softmax', [scaled], { axis: -1 }), split(v, [0, 2, 1, 3])]);
  const rows = graph.op('Transpose', [mixed], { perm: [0, 2, 1, 3] });
  return graph.op('Reshape', [rows, graph.whole([3], [-1, tokens, width])]);
}

/** x/2 · (1 + erf(x/√2)). */
function gelu(graph: EncoderGraph, x: string): string {
  const erf = graph.op('Erf', [graph.op('Div', [x, graph.number(Math.SQRT2)])]);
  return graph.op('Mul', [graph.op('Mul', [x, graph.op('Add', [erf, graph.number(1)])]), graph.number(0.5)]);
}

/** Collects nodes and seeded weights. */
class EncoderGraph {
  private readonly nodes: NodeProto[] = [];
  private readonly constants = new Map<string, TensorProto>();
  private readonly random: Random;

  constructor(seed: number) {
    this.random = Random.stream(seed, 0x454e);
  }

  op(type: string, inputs: readonly string[], attributes: Parameters<typeof makeNode>[3] = {}): string {
    const name = `${type}_${this.nodes.length}`;
    this.nodes.push(makeNode(type, inputs, [name], attributes, { name }));
    return name;
  }

  dense(x: string, name: string, from: number, to: number): string {
    return this.op('Add', [this.op('MatMul', [x, this.drawn(`${name}.weight`, [from, to])]), this.zeros(name, to)]);
  }

  norm(x: string, name: string, width: number): string {
    const scale = this.add(`${name}.scale`, float32([width], new Float32Array(width).fill(1)));
    return this.op('LayerNormalization', [x, scale, this.zeros(name, width)], { axis: -1, epsilon: { float: 1e-12 } });
  }

  number(x: number): string {
    return this.add(`number_${x}`, float32([], [x]));
  }

  whole(dims: readonly number[], values: readonly number[]): string {
    return this.add(`ints_${dims.length}_${values.join('_')}`, int64(dims, values));
  }

  /** @returns the model whose output is what the last node makes. */
  model(input: readonly number[], classes: number): ModelProto {
    this.nodes[this.nodes.length - 1].output = ['logits'];
    const graph = makeGraph({
      name: 'encoder',
      node: this.nodes,
      initializer: [...this.constants.values()],
      input: [makeValueInfo('input', 'float32', ['N', ...input])],
      output: [makeValueInfo('logits', 'float32', ['N', classes])],
    });
    return makeModel(graph, 17);
  }

  /** Uniform numbers of BERT's deviation, 0.02. */
  private drawn(name: string, dims: readonly number[]): string {
    const reach = 0.02 * Math.sqrt(3);
    const data = new Float32Array(sizeOf(dims));
    for (let i = 0; i < data.length; i++) data[i] = reach * (2 * this.random.uniform() - 1);
    return this.add(name, float32(dims, data));
  }

  private zeros(name: string, size: number): string {
    return this.add(`${name}.bias`, float32([size], new Float32Array(size)));
  }

  private add(name: string, tensor: Parameters<typeof makeTensor>[1]): string {
    if (!this.constants.has(name)) this.constants.set(name, makeTensor(name, tensor));
    return name;
  }
}
