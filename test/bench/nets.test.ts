import { describe, expect, it } from 'vitest';
import { encoder, resnet50 } from '../../models/index.js';
import { analyse } from '../../src/shape/analyse.js';
import { openTimedNet } from '../../bench/timedNet.js';
import { macsOf } from '../../src/validate/macs.js';

const analysed = (model: ReturnType<typeof encoder>) =>
  analyse({ path: '', folder: '.', bytes: new Uint8Array(), model });

describe('nets of the bench', () => {
  it('an encoder counts the MACs of its products', async () => {
    const [layers, tokens, width] = [2, 8, 16];
    const analysis = await analysed(encoder({ layers, tokens, width, heads: 2, classes: 3 }));
    const perLayer = tokens * (4 * width * width + 2 * width * 4 * width) + 2 * tokens * tokens * width;
    expect(macsOf(analysis)).toBe(layers * perLayer + width * 3);
  });

  it('a ResNet-50 has the parameters that it is known for', () => {
    const { graph } = resnet50();
    const trained = graph.initializer.filter(({ name }) => !/\.(mean|var)$/.test(name ?? ''));
    const sizes = trained.map(({ dims }) => dims.reduce<number>((a, b) => a * Number(b), 1));
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(25_557_032);
  });

  it.each([
    ['encoder', () => encoder({ layers: 1, tokens: 4, width: 8, heads: 2 })],
    ['bottlenecks', () => resnet50({ input: [3, 32, 32], blocks: [1, 1], width: 4, classes: 3 })],
  ])('%s: a step runs, and its time is split', async (name, model) => {
    const net = {
      name,
      title: '',
      unit: 'img',
      batch: { full: 2, small: 2 },
      momentum: 0.9,
      rate: 1e-3,
      model,
    } as const;
    const timed = await openTimedNet(net, 2, { engine: 'onnxruntime', provider: 'cpu', threads: 1 });
    const { ms, deviceMs } = await timed.round();
    await timed.close();
    expect(deviceMs).toBeGreaterThan(0);
    expect(deviceMs).toBeLessThanOrEqual(ms);
  });
});
