import type { NodeProto } from '../onnx/proto.js';
import type { WeightUse } from './trained.js';
import type { Clone } from './training-graph.js';

export interface CloneSource {
  readonly uses: readonly WeightUse[];
  readonly producers: ReadonlyMap<string, NodeProto>;
  readonly fixed: ReadonlySet<string>;
  dims(root: string): readonly number[];
  /** Index of a node in the user's graph; undefined for one that is not there. */
  indexOf(node: NodeProto): number | undefined;
  /** @returns a name that nothing else has. */
  fresh(hint: string): string;
}

/**
 * Tells apart what an exporter merged: one-dimensional initializers (biases, norm parameters) that were equal by chance
 * and are read by different layers. Where the layers share their matrix too, they are one layer used twice, and stay
 * tied. So do shared matrices.
 */
export function clonesOf(source: CloneSource): Clone[] {
  const byRoot = new Map<string, WeightUse[]>();
  for (const use of source.uses) byRoot.set(use.root, [...(byRoot.get(use.root) ?? []), use]);
  const clones: Clone[] = [];
  for (const [root, uses] of byRoot) {
    if (!uses.some((u) => u.trained || u.state)) continue;
    if (source.dims(root).filter((d) => d !== 1).length > 1) continue;
    if (!uses.every((u) => u.path.every((n) => n.opType === 'Identity') && source.indexOf(u.node) !== undefined))
      continue;
    const groups = new Map<string, WeightUse[]>();
    for (const use of uses) {
      const key = keyOf(use, source);
      groups.set(key, [...(groups.get(key) ?? []), use]);
    }
    // What is no weight keeps the original, else the first group does.
    const original = groups.has('constant') ? 'constant' : [...groups.keys()][0];
    for (const [key, group] of groups) {
      if (key === original) continue;
      const name = source.fresh(root);
      for (const use of group) clones.push({ name, of: root, node: source.indexOf(use.node)!, input: use.input });
    }
  }
  return clones;
}

function keyOf(use: WeightUse, source: CloneSource): string {
  if (!use.trained && !use.state) return 'constant';
  return `${anchorOf(use.node, source)}|${use.node.opType}|${use.input}`;
}

/** @returns the matrix of a node or of the nearest node before it, else the node itself: what tells layers apart. */
function anchorOf(start: NodeProto, source: CloneSource): string {
  let node: NodeProto | undefined = start;
  for (let steps = 0; node && steps < 8; steps++) {
    const matrix = source.uses.find((u) => u.node === node && source.dims(u.root).filter((d) => d !== 1).length > 1);
    if (matrix) return matrix.root;
    const next: string | undefined = node.input.find((name) => name !== '' && !source.fixed.has(name));
    node = next === undefined ? undefined : source.producers.get(next);
  }
  return start.output[0];
}
