import { CgesError } from '../errors.js';
import { GraphBuilder, TRAINING_OPSET, type Value } from '../onnx/builder.js';
import { type Engine, halfEngine, standardEngine } from '../onnx/engine.js';
import { makeGraph, makeModel, makeValueInfo } from '../onnx/make.js';
import type { PrecisionName } from '../options.js';
import type { ConcreteProvider } from '../runtime/providers.js';
import { openSession } from '../runtime/session.js';
import { Random } from '../tensor/random.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { ChosenEngine } from './chooseEngine.js';

/**
 * Checks that training can compute in a precision where it will run.
 *
 * **Throws** USAGE for half precision on a processor or in TensorFlow.js, PROVIDER_UNAVAILABLE where the provider's products
 * of halves fail or are wrong.
 */
export async function requirePrecision(
  precision: PrecisionName,
  { engine, provider }: { readonly engine: ChosenEngine['engine']; readonly provider: ConcreteProvider },
): Promise<void> {
  if (precision === 'fp32') return;
  if (engine === 'tfjs') {
    throw new CgesError('USAGE', '--precision fp16 is not for the tfjs engine: TensorFlow.js has no float16 tensors', {
      hint: 'give --engine onnxruntime and the --provider of a GPU, or leave --precision out',
    });
  }
  if (provider === 'cpu') {
    const why = "onnxruntime's CPU kernels compute halves in float32, with casts on top";
    throw new CgesError('USAGE', `--precision fp16 gains nothing on the cpu provider: ${why}`, {
      hint: 'give the --provider of a GPU (webgpu, cuda, tensorrt, dml, coreml), or leave --precision out',
    });
  }
  const complaint = await halfComplaint(provider);
  if (complaint) {
    throw new CgesError(
      'PROVIDER_UNAVAILABLE',
      `the ${provider} provider cannot train in half precision: ${complaint}`,
      {
        hint: 'leave --precision out, or give another --provider',
      },
    );
  }
}

/** Largest difference from the float32 products, which are sums of at most 32 terms of size 1. */
const TOLERANCE = 0.05;

/** @returns what is wrong with a provider's products of halves (webgpu: an adapter without shader-f16), or undefined. */
export async function halfComplaint(provider: ConcreteProvider): Promise<string | undefined> {
  try {
    const expected = await productsOn('cpu', standardEngine);
    const found = await productsOn(provider, halfEngine(standardEngine, provider));
    const wrong = expected.findIndex(({ values }, i) => {
      const off = values.map((v, k) => Math.abs(v - found[i].values[k]));
      return !off.every((d) => d < TOLERANCE);
    });
    return wrong < 0 ? undefined : `its ${expected[wrong].op} of halves is wrong`;
  } catch (error) {
    const { message } = error as Error;
    const lacking = provider === 'webgpu' && message.includes('requires f16');
    return lacking ? 'this adapter has no shader-f16' : message;
  }
}

/** Runs one product of each kind. */
async function productsOn(
  provider: ConcreteProvider,
  engine: Engine,
): Promise<{ readonly op: string; readonly values: Float32Array }[]> {
  const g = new GraphBuilder(engine);
  const feeds: Record<string, Tensor> = {};
  const input = (name: string, shape: readonly number[]): Value => {
    const random = Random.stream(0, Object.keys(feeds).length);
    g.reserve(name);
    feeds[name] = float32(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => 2 * random.uniform() - 1),
    );
    return { name, dtype: 'float32', shape };
  };
  const [image, kernel] = [input('image', [2, 3, 6, 6]), input('kernel', [4, 3, 3, 3])];
  const [rows, columns] = [input('rows', [5, 32]), input('columns', [32, 7])];
  const outputs = g.inHalf(() => {
    const window = { kernel_shape: [3, 3], strides: [1, 1], pads: [0, 0, 0, 0] };
    const [y] = g.emit('Conv', [image, kernel], [{ dtype: 'float32', shape: [2, 4, 4, 4] }], window);
    const back = g.emit('ConvTranspose', [y, kernel], [{ dtype: 'float32', shape: [2, 3, 6, 6] }], window);
    return [y, back[0], g.matMul(rows, columns), g.gemm(rows, columns)];
  });
  const graph = makeGraph({
    node: g.nodes,
    initializer: g.initializers,
    input: Object.entries(feeds).map(([name, t]) => makeValueInfo(name, t.dtype, t.dims)),
    output: outputs.map((o) => makeValueInfo(o.name, o.dtype, o.shape)),
  });
  const session = await openSession(makeModel(graph, TRAINING_OPSET), { provider });
  try {
    const results = await session.run(feeds);
    const ops = ['Conv', 'ConvTranspose', 'MatMul', 'Gemm'];
    return outputs.map((o, i) => ({ op: ops[i], values: results[o.name].data as Float32Array }));
  } finally {
    await session.close();
  }
}
