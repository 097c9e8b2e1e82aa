import { Attributes } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { FLOW } from '../ops/flow.js';
import type { ChannelValue } from '../ops/spec.js';

/**
 * @returns sequences as channel rules see them, with the axes of one element, where what is put into them (and into those
 * that they become) has one shape.
 * @param nodes of the flat graph
 * @param tensor what is known of a value that is a tensor
 */
export function sequenceValues(
  nodes: readonly NodeProto[],
  tensor: (name: string) => ChannelValue | undefined,
): Map<string, ChannelValue> {
  const groups = new Groups();
  const elements: { of: string; value: ChannelValue | undefined }[] = [];
  for (const node of nodes) {
    const { opType, input, output } = node;
    if (node.domain === FLOW) {
      for (const [a, b] of passedOn(node)) if (a !== '' && b !== '' && !tensor(a) && !tensor(b)) groups.unite(a, b);
    } else if (node.domain) {
      continue;
    } else if (opType === 'SequenceInsert') {
      groups.unite(input[0], output[0]);
      elements.push({ of: output[0], value: tensor(input[1]) });
    } else if (opType === 'SequenceConstruct') {
      for (const name of input) elements.push({ of: output[0], value: tensor(name) });
    } else if (opType === 'SequenceErase' || (opType === 'Identity' && !tensor(output[0]))) {
      groups.unite(input[0], output[0]);
    } else if (opType === 'SequenceAt') {
      elements.push({ of: input[0], value: tensor(output[0]) });
    } else if (opType === 'SequenceEmpty') {
      groups.find(output[0]);
    }
  }
  const shapes = new Map<string, ChannelValue | null>();
  for (const { of, value } of elements) {
    const root = groups.find(of);
    const old = shapes.get(root);
    const same = old && value && value.dtype === old.dtype && String(value.shape) === String(old.shape);
    shapes.set(root, value && (old === undefined || same) ? (old ?? value) : null);
  }
  const found = new Map<string, ChannelValue>();
  for (const name of groups.names()) {
    const value = shapes.get(groups.find(name));
    if (value) found.set(name, { name, dtype: value.dtype, shape: value.shape, isSequence: true });
  }
  return found;
}

/** @returns pairs of values of which one may become the other where control flow goes in or comes out. */
function passedOn(node: NodeProto): [string, string][] {
  const attrs = new Attributes(node);
  const { input, output } = node;
  if (node.opType === 'If') {
    const count = output.length;
    return output.flatMap((to, k): [string, string][] => [
      [input[1 + k], to],
      [input[1 + count + k], to],
    ]);
  }
  const [first, states, inputs] = ['first', 'states', 'inputs'].map((name) => attrs.int(name, 0));
  const carried = Array.from({ length: states }, (_, k) => k);
  if (attrs.string('part') === 'enter') return carried.map((k) => [input[first + k], output[first + k]]);
  const made = inputs + (first > 0 ? 1 : 0);
  return carried.flatMap((k): [string, string][] => [
    [input[first + k], input[made + k]],
    [input[made + k], output[k] ?? ''],
  ]);
}

class Groups {
  private readonly parent = new Map<string, string>();

  find(name: string): string {
    let at = name;
    for (let up = this.parent.get(at); up !== undefined && up !== at; up = this.parent.get(at)) at = up;
    if (!this.parent.has(at)) this.parent.set(at, at);
    return at;
  }

  unite(a: string, b: string): void {
    this.parent.set(this.find(a), this.find(b));
  }

  names(): Iterable<string> {
    return this.parent.keys();
  }
}
