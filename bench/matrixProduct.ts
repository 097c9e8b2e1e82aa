import { makeGraph, makeModel, makeNode, makeValueInfo } from '../src/onnx/make.js';
import { openSession } from '../src/runtime/session.js';
import { Random } from '../src/tensor/random.js';
import { float32 } from '../src/tensor/tensor.js';

const SIZE = 2048;

/** The largest float32 matrix product: the ceiling of what these processors can do in onnxruntime. */
export async function openMatrixProduct(
  threads: number,
): Promise<{ round(): Promise<number>; close(): Promise<void> }> {
  const info = (name: string) => makeValueInfo(name, 'float32', [SIZE, SIZE]);
  const model = makeModel(
    makeGraph({ node: [makeNode('MatMul', ['a', 'b'], ['y'])], input: [info('a'), info('b')], output: [info('y')] }),
    17,
  );
  const session = await openSession(model, { threads: { intraOp: threads } });
  const random = new Random(0);
  const matrix = () =>
    float32(
      [SIZE, SIZE],
      Float32Array.from({ length: SIZE * SIZE }, () => random.uniform()),
    );
  const feeds = { a: matrix(), b: matrix() };
  /** @returns GFLOP/s, the best of three products in a row */
  const round = async () => {
    let best = 0;
    for (let i = 0; i < 3; i++) {
      const started = performance.now();
      await session.run(feeds);
      best = Math.max(best, (2 * SIZE ** 3) / (performance.now() - started) / 1e6);
    }
    return best;
  };
  await round();
  return { round, close: () => session.close() };
}
