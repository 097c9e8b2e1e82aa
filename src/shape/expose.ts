import { Attributes, toNumber } from '../onnx/attributes.js';
import { bodyKey, lifted } from '../onnx/bodies.js';
import { bodiesOf, definedIn, graphsFrom, shapeOf, sortedNodes } from '../onnx/graph.js';
import { makeNode, makeTensor } from '../onnx/make.js';
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../onnx/proto.js';
import { type Fresh, freshNames, renamedNode } from '../onnx/rename.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Bodies } from './flat.js';
import { isControlFlow, scanLayout } from './unroll.js';

/** A model that shows what its bodies compute. */
export interface Exposed {
  readonly model: ModelProto;
  /** Values that a loop begins with: what is made of them is not known beforehand. */
  readonly unknown: ReadonlySet<string>;
}

/**
 * @returns a model with the same outputs, in which the values inside the entered bodies can be read under their names: as
 * they are in a branch whether it is taken or not, and in the first iteration of a loop.
 */
export function exposed(model: ModelProto, { entered }: Pick<Bodies, 'entered'>): Exposed {
  if (entered.size === 0) return { model, unknown: new Set() };
  const work = new Exposing(model, entered);
  return { model: work.result(), unknown: work.unknown };
}

class Exposing {
  readonly unknown = new Set<string>();
  private readonly initializer: TensorProto[];
  private readonly constants: NodeProto[] = [];
  private readonly fresh: Fresh;

  constructor(
    private readonly model: ModelProto,
    private readonly entered: ReadonlySet<string>,
  ) {
    this.initializer = [...model.graph.initializer];
    const taken = new Set<string>();
    for (const { graph } of graphsFrom(model.graph)) for (const name of definedIn(graph)) taken.add(name);
    this.fresh = freshNames(taken);
  }

  result(): ModelProto {
    const { model, initializer, constants } = this;
    const node = this.shown(model.graph);
    const irVersion = Math.max(toNumber(model.irVersion ?? 0), 4);
    return { ...model, irVersion, graph: { ...model.graph, node: [...constants, ...node], initializer } };
  }

  private shown(graph: Pick<GraphProto, 'node'>): NodeProto[] {
    return sortedNodes(graph).flatMap((node) => {
      if (!isControlFlow(node)) return [node];
      const own = bodiesOf(node).filter((b) => this.entered.has(bodyKey(node, b.attribute)));
      if (own.length === 0) return [node];
      const bare = lifted(node);
      this.initializer.push(...bare.initializer);
      this.constants.push(...bare.constants);
      const attrs = new Attributes(bare.node);
      const beside = own.flatMap(({ attribute }) => this.beside(bare.node, attrs.graph(attribute)!));
      return [...beside, renamedNode(bare.node, new Map(), (name) => this.fresh(`${name}/inside`))];
    });
  }

  /** @returns the nodes of a body, and those that make its inputs. */
  private beside(node: NodeProto, body: GraphProto): NodeProto[] {
    this.initializer.push(...body.initializer);
    const before: NodeProto[] = [];
    const start = (to: string, from: string): void => {
      this.unknown.add(to);
      before.push(makeNode('Identity', [from], [to]));
    };
    if (node.opType === 'Loop') {
      const [iteration, condition, ...carried] = body.input;
      const one = (info: typeof iteration): number[] => (shapeOf(info)?.length === 1 ? [1] : []);
      const first: Tensor = { dtype: 'int64', dims: one(iteration), data: BigInt64Array.of(0n) };
      const goes: Tensor = { dtype: 'bool', dims: one(condition), data: Uint8Array.of(1) };
      start(iteration.name, this.constant(first));
      start(condition.name, this.constant(goes));
      carried.forEach(({ name }, k) => {
        start(name, node.input[2 + k]);
      });
    } else if (node.opType === 'Scan') {
      const { states, inputAxes } = scanLayout(node);
      body.input.slice(0, states).forEach(({ name }, k) => {
        start(name, node.input[k]);
      });
      const at = this.constant({ dtype: 'int64', dims: [], data: BigInt64Array.of(0n) });
      inputAxes.forEach((axis, k) => {
        const { name } = body.input[states + k];
        this.unknown.add(name);
        before.push(makeNode('Gather', [node.input[states + k], at], [name], { axis }));
      });
    }
    return [...before, ...this.shown(body)];
  }

  private constant(tensor: Tensor): string {
    const name = this.fresh('const');
    this.initializer.push(makeTensor(name, tensor));
    return name;
  }
}
