import type { AttributeValue } from '../../src/onnx/attributes.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto, NodeProto, TensorProto } from '../../src/onnx/proto.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { tensorDims, tensorOf } from '../../src/onnx/tensors.js';
import { channelsOf, type StripOptions, strip } from '../../src/prune/strip.js';
import { unitsOf } from '../../src/prune/units.js';
import { analyse } from '../../src/shape/analyse.js';
import { Random } from '../../src/tensor/random.js';
import { float32, int64, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

/** Builds tiny graphs with seeded weights, some channels of which are set by hand. */
export class TinyNet {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  private readonly random = new Random(11);

  /** Adds a float weight with random contents; `edit` changes them. */
  weight(name: string, dims: readonly number[], edit: (data: Float32Array) => void = () => {}): string {
    const data = Float32Array.from({ length: sizeOf(dims) }, () => this.random.normal() * 0.5);
    edit(data);
    return this.constant(name, float32(dims, data));
  }

  constant(name: string, tensor: Tensor): string {
    this.initializers.push(makeTensor(name, tensor));
    return name;
  }

  ints(name: string, values: readonly number[]): string {
    return this.constant(name, int64([values.length], values));
  }

  /** @param op the operator, with its domain and a dot before where it is none of ONNX's own */
  node(op: string, inputs: readonly string[], output: string, attributes: Record<string, AttributeValue> = {}): string {
    const at = op.lastIndexOf('.');
    const more = { name: `${output}/${op.slice(at + 1)}`, domain: op.slice(0, Math.max(0, at)) };
    this.nodes.push(makeNode(op.slice(at + 1), inputs, output === '' ? [] : output.split(' '), attributes, more));
    return output;
  }

  file(
    input: readonly (number | string)[],
    output: readonly (number | string)[],
    { opset = 13, irVersion = 8 }: { opset?: number; irVersion?: number } = {},
  ): OnnxFile {
    const inputs = [makeValueInfo('x', 'float32', input)];
    if (irVersion < 4) {
      for (const t of this.initializers)
        inputs.push(makeValueInfo(t.name!, t.dataType === 7 ? 'int64' : 'float32', tensorDims(t)));
    }
    const graph = makeGraph({
      node: this.nodes,
      initializer: this.initializers,
      input: inputs,
      output: [makeValueInfo('y', 'float32', output)],
    });
    const domains = new Set(this.nodes.map((n) => n.domain ?? '').filter((d) => d !== ''));
    return fileOf({ ...makeModel(graph, opset, [...domains]), irVersion });
  }
}

export function fileOf(model: ModelProto): OnnxFile {
  return { path: '', folder: '', bytes: new Uint8Array(), model };
}

/** Sets rows (indices of the first axis) to a number. */
export function rows(dims: readonly number[], indices: readonly number[], value = 0): (data: Float32Array) => void {
  const each = sizeOf(dims.slice(1));
  return (data) => {
    for (const i of indices) data.fill(value, i * each, (i + 1) * each);
  };
}

/** Sets columns (indices of the second axis) to zero. */
export function columns(dims: readonly number[], indices: readonly number[]): (data: Float32Array) => void {
  const each = sizeOf(dims.slice(2));
  return (data) => {
    for (let o = 0; o < dims[0]; o++) {
      for (const i of indices) data.fill(0, (o * dims[1] + i) * each, (o * dims[1] + i + 1) * each);
    }
  };
}

/** Strips a file (which compares both models in onnxruntime) and reads off what is left. */
export async function stripped(file: OnnxFile, options: StripOptions = {}) {
  const result = await strip(file, await analyse(file), { tolerance: 1e-5, ...options });
  return {
    ...result,
    removed: result.unitsBefore - result.unitsAfter,
    dims: (name: string): number[] | undefined => {
      const t = result.model.graph.initializer.find((i) => i.name === name);
      return t && tensorDims(t);
    },
    contents: (name: string): number[] => {
      const t = result.model.graph.initializer.find((i) => i.name === name)!;
      return Array.from(tensorOf(t).data as Float32Array);
    },
    ops: result.model.graph.node.map((n) => n.opType),
  };
}

export async function unitsIn(file: OnnxFile) {
  const channels = channelsOf(await analyse(file));
  return { channels, ...unitsOf(channels) };
}
