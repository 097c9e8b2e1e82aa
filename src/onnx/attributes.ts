import {
  type AttributeProto,
  attributeType,
  type GraphProto,
  type Int64,
  type NodeProto,
  type TensorProto,
} from './proto.js';

/** What a node's attributes may be built from: integers become `int`, other numbers need `{ float }`. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: TensorProto }
  | { readonly graph: GraphProto };

/** Typed, read-only access to a node's attributes with ONNX's defaults spelt at the place of use. */
export class Attributes {
  private readonly byName: Map<string, AttributeProto>;

  constructor(node: NodeProto) {
    this.byName = new Map(node.attribute.map((a) => [a.name, a]));
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  int(name: string, otherwise: number): number;
  int(name: string): number | undefined;
  int(name: string, otherwise?: number): number | undefined {
    const a = this.byName.get(name);
    return a === undefined ? otherwise : toNumber(a.i ?? 0);
  }

  float(name: string, otherwise: number): number;
  float(name: string): number | undefined;
  float(name: string, otherwise?: number): number | undefined {
    const a = this.byName.get(name);
    return a === undefined ? otherwise : (a.f ?? 0);
  }

  string(name: string, otherwise: string): string;
  string(name: string): string | undefined;
  string(name: string, otherwise?: string): string | undefined {
    const a = this.byName.get(name);
    return a === undefined ? otherwise : new TextDecoder().decode(a.s ?? new Uint8Array());
  }

  ints(name: string): number[] | undefined {
    return this.byName.get(name)?.ints.map(toNumber);
  }

  floats(name: string): number[] | undefined {
    const a = this.byName.get(name);
    return a === undefined ? undefined : [...a.floats];
  }

  strings(name: string): string[] | undefined {
    return this.byName.get(name)?.strings.map((s) => new TextDecoder().decode(s));
  }

  tensor(name: string): TensorProto | undefined {
    return this.byName.get(name)?.t;
  }

  graph(name: string): GraphProto | undefined {
    return this.byName.get(name)?.g;
  }
}

/** @returns a 64-bit integer as a number; beyond 2⁵³ it is the nearest one (`INT64_MAX` as an "until the end"). */
export function toNumber(value: Int64): number {
  return typeof value === 'number' ? value : value.toNumber();
}

/** @returns an attribute message, its type chosen from the value. */
export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  const a: AttributeProto = {
    name,
    floats: [],
    ints: [],
    strings: [],
    tensors: [],
    graphs: [],
    sparseTensors: [],
    typeProtos: [],
  };
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) throw new TypeError(`attribute ${name}: ${value} is no integer, say { float }`);
    return { ...a, type: attributeType.int, i: value };
  }
  if (typeof value === 'string') return { ...a, type: attributeType.string, s: new TextEncoder().encode(value) };
  if (Array.isArray(value)) return { ...a, type: attributeType.ints, ints: [...value] };
  if ('float' in value) return { ...a, type: attributeType.float, f: value.float };
  if ('floats' in value) return { ...a, type: attributeType.floats, floats: [...value.floats] };
  if ('strings' in value) {
    return { ...a, type: attributeType.strings, strings: value.strings.map((s) => new TextEncoder().encode(s)) };
  }
  if ('tensor' in value) return { ...a, type: attributeType.tensor, t: value.tensor };
  if ('graph' in value) return { ...a, type: attributeType.graph, g: value.graph };
  throw new TypeError(`attribute ${name} has a value of no known kind`);
}

/** Sets or replaces one attribute of a node. */
export function setAttribute(node: NodeProto, name: string, value: AttributeValue): void {
  const at = node.attribute.findIndex((a) => a.name === name);
  const a = makeAttribute(name, value);
  if (at < 0) node.attribute.push(a);
  else node.attribute[at] = a;
}
