import { blockedForm, emitBlocked, plainForm } from '../onnx/blocked.js';
import { GraphBuilder } from '../onnx/builder.js';
import { blockedCpuEngine, cpuEngine, type Engine } from '../onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../onnx/make.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import { openSession } from './session.js';

let known: Promise<Engine> | undefined;

/**
 * @returns what the CPU provider can do on this processor: onnxruntime's blocked layout has blocks of 16 channels, of 8, or
 *   is missing, and does not say which; forms that count on 16 are used only where a convolution in them comes out right.
 *   Asked once per process.
 */
export function cpuTarget(): Promise<Engine> {
  known ??= blocksOf16().then(
    (right) => (right ? blockedCpuEngine : cpuEngine),
    () => cpuEngine,
  );
  return known;
}

/** 32 channels in, 32 out, 1×1: a kernel ordered for other blocks mixes other channels. */
async function blocksOf16(): Promise<boolean> {
  const [n, c, size] = [2, 32, 3];
  const x = wave([n, c, size, size], 0.37);
  const w = wave([c, c, 1, 1], 0.71);
  const g = new GraphBuilder(blockedCpuEngine);
  g.reserve('x');
  const input = blockedForm(g, { name: 'x', dtype: 'float32', shape: x.dims });
  const kernel = g.transpose(g.reshape(g.constant(w), [2, 16, 2, 16]), [0, 2, 3, 1]);
  const attributes = { kernel_shape: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 };
  const block = emitBlocked(g, 'Conv', [input.block, g.reshape(kernel, [c, c, 1, 1])], x.dims, attributes);
  const y = plainForm(g, { block, channels: c });
  const graph = makeGraph({
    node: g.nodes,
    initializer: g.initializers,
    input: [makeValueInfo('x', 'float32', x.dims)],
    output: [makeValueInfo(y.name, 'float32', x.dims)],
  });
  const session = await openSession(makeModel(graph, 18, [...g.domains]));
  try {
    const { [y.name]: result } = await session.run({ x });
    const pixels = size * size;
    return (result.data as Float32Array).every((value, i) => {
      const [image, m, at] = [Math.floor(i / (c * pixels)), Math.floor(i / pixels) % c, i % pixels];
      let sum = 0;
      for (let k = 0; k < c; k++) sum += elements(x)[(image * c + k) * pixels + at] * elements(w)[m * c + k];
      return Math.abs(sum - value) < 1e-4;
    });
  } finally {
    await session.close();
  }
}

function wave(dims: readonly number[], frequency: number): Tensor {
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, i) => Math.sin(frequency * (i + 1))),
  );
}

function elements(tensor: Tensor): Float32Array {
  return tensor.data as Float32Array;
}
