import { standardEngine } from '../src/onnx/engine.js';
import { Random } from '../src/tensor/random.js';
import { float32 } from '../src/tensor/tensor.js';
import { openKernel } from './kernel.js';
import type { Place, Scale } from './place.js';

/** A square float32 matrix product, and how many of them follow each other in one run. */
interface Size {
  readonly size: number;
  readonly chain: number;
}

/** Large enough for what it is measured on. */
function sizeFor({ engine, provider }: Place, scale: Scale): Size {
  if (engine === 'onnxruntime' && provider === 'cpu') return { size: 2048, chain: 1 };
  return scale === 'small' ? { size: 1024, chain: 1 } : { size: 4096, chain: 8 };
}

/**
 * The largest float32 matrix product: the ceiling of what the device can do with this engine, at the precision that it
 * computes by default (CUDA: TF32 where the device has it).
 */
export async function openMatrixProduct(
  place: Place,
  scale: Scale = 'full',
): Promise<{ size: number; round(): Promise<number>; close(): Promise<void> }> {
  const { size, chain } = sizeFor(place, scale);
  const random = new Random(0);
  // Uniform numbers of deviation 1/√size: products stay as large as what they are made of.
  const reach = Math.sqrt(3 / size);
  const matrix = () =>
    float32(
      [size, size],
      Float32Array.from({ length: size * size }, () => reach * (2 * random.uniform() - 1)),
    );
  const kernel = await openKernel(
    {
      target: standardEngine,
      inputs: new Map([
        ['a', matrix()],
        ['b', matrix()],
      ]),
      emit(g, inputs) {
        let product = inputs.get('a')!;
        for (let i = 0; i < chain; i++) product = g.matMul(product, inputs.get('b')!);
        return [product];
      },
    },
    place,
  );
  /** @returns GFLOP/s, the best of three in a row */
  const round = async () => {
    let best = 0;
    for (let i = 0; i < 3; i++) best = Math.max(best, (2 * size ** 3 * chain) / (await kernel.round()) / 1e6);
    return best;
  };
  return { size, round, close: () => kernel.close() };
}
