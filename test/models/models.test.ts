import { describe, expect, it } from 'vitest';
import { mlp, mnistConvNet, mobileNetLike, resnet, squeezeConcat, vgg } from '../../models/index.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { encodeModel } from '../../src/onnx/write.js';
import { openSession } from '../../src/runtime/session.js';
import { float32, sizeOf } from '../../src/tensor/tensor.js';
import { paramsOf } from '../../src/validate/params.js';

const cases: [title: string, make: (seed?: number) => ModelProto, input: number[], params: number][] = [
  ['mlp 42-64-32-10', (seed) => mlp({ seed }), [42], 5162],
  ['the MNIST net of the paper', (seed) => mnistConvNet({ seed }), [1, 28, 28], 3_274_634],
  ['the MNIST net with dropout', (seed) => mnistConvNet({ seed, dropout: 0.5, init: 'he' }), [1, 28, 28], 3_274_634],
  ['VGG-11', (seed) => vgg({ seed, dense: 0 }), [3, 32, 32], 9_233_866],
  // Published counts plus running statistics: 269,722 + 2·688, 272,474 + 2·784, 853,018 + 2·2,032.
  ['ResNet-20, padded shortcuts', (seed) => resnet({ seed, shortcut: 'pad' }), [3, 32, 32], 271_098],
  ['ResNet-20, convolved shortcuts', (seed) => resnet({ seed }), [3, 32, 32], 274_042],
  ['ResNet-56, padded shortcuts', (seed) => resnet({ seed, depth: 56, shortcut: 'pad' }), [3, 32, 32], 857_082],
  ['the MobileNet-like net', (seed) => mobileNetLike({ seed }), [3, 32, 32], 38_634],
  ['the squeeze-and-concat net', (seed) => squeezeConcat({ seed }), [3, 32, 32], 43_450],
];

describe('built models', () => {
  it.each(cases)('%s has its known number of parameters and runs at any batch', async (_, make, input, params) => {
    const model = make(1);
    expect(paramsOf(model)).toBe(params);
    const session = await openSession(model);
    for (const batch of [1, 3]) {
      const x = float32([batch, ...input], new Float32Array(batch * sizeOf(input)).fill(0.5));
      const { output } = await session.run({ input: x });
      expect(output.dims).toEqual([batch, 10]);
      expect(Array.from(output.data as Float32Array).every(Number.isFinite)).toBe(true);
    }
    await session.close();
  });

  it.each(cases.filter(([title]) => !title.includes('56') && !title.includes('VGG')))(
    '%s is the same for the same seed and another one for another seed',
    (_, make) => {
      expect(Buffer.compare(encodeModel(make(1)), encodeModel(make(1)))).toBe(0);
      expect(Buffer.compare(encodeModel(make(1)), encodeModel(make(2)))).not.toBe(0);
    },
  );

  it('refuses a ResNet of a depth that does not exist', () => {
    expect(() => resnet({ depth: 21 })).toThrow('6n + 2');
  });
});
