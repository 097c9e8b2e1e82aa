import type { GraphBuilder, Value } from '../onnx/builder.js';

/** The inverse of DepthToSpace: [N, C, H·b, W·b] → [N, C·b², H, W]. */
export function blocksToDepth(g: GraphBuilder, y: Value, shape: readonly number[], b: number, mode: string): Value {
  const [n, c, h, w] = [shape[0], y.shape[1], shape[2], shape[3]];
  const parts = g.reshape(y, [n, c, h, b, w, b]);
  return g.reshape(g.transpose(parts, mode === 'CRD' ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]), shape);
}

/** The inverse of SpaceToDepth: [N, C·b², H, W] → [N, C, H·b, W·b]. */
export function depthToBlocks(g: GraphBuilder, y: Value, shape: readonly number[], b: number): Value {
  const parts = g.reshape(y, [shape[0], b, b, shape[1], y.shape[2], y.shape[3]]);
  return g.reshape(g.transpose(parts, [0, 3, 4, 1, 5, 2]), shape);
}
