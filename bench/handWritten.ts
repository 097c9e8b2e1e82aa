import { createRequire } from 'node:module';
import { join } from 'node:path';
import { loadTfjs } from '../src/runtime/tfjs.js';
import { Random } from '../src/tensor/random.js';
import { sizeOf } from '../src/tensor/tensor.js';
import type { TimedStep, Workload } from './trainStep.js';

/* The bench's nets as one writes them with TensorFlow.js: its own autodiff and optimizers, channels last. */

/** A tensor or variable of TensorFlow.js, which ships no types with this project. */
interface TfTensor {
  readonly shape: number[];
  dataSync(): Float32Array;
  dispose(): void;
  assign(value: TfTensor): void;
}

type Op = (...operands: unknown[]) => TfTensor;

interface Tf {
  readonly add: Op;
  readonly avgPool: Op;
  readonly batchNorm4d: Op;
  readonly conv2d: Op;
  readonly matMul: Op;
  readonly maxPool: Op;
  readonly mean: Op;
  readonly mul: Op;
  readonly oneHot: Op;
  readonly pad: Op;
  readonly relu: Op;
  readonly reshape: Op;
  readonly tensor: Op;
  readonly variable: Op;
  readonly losses: { readonly softmaxCrossEntropy: Op };
  moments(x: TfTensor, axes: number[]): { mean: TfTensor; variance: TfTensor };
  tidy<T>(run: () => T): T;
  readonly train: Readonly<
    Record<'sgd' | 'momentum', (...rates: number[]) => { minimize(loss: () => TfTensor, keep: boolean): TfTensor }>
  >;
}

/** @returns rounds of the same training step in plain TensorFlow.js, in this thread. */
export function openHandWritten(workload: Workload, threads: number): Pick<TimedStep, 'round' | 'close'> {
  const { folder } = loadTfjs(threads);
  const tf = createRequire(join(folder, 'x.js'))(folder) as Tf;
  const { batch, steps, momentum, rate, name } = workload;
  const net = name === 'mnist' ? mnist(tf) : resnet20(tf);
  const optimizer = momentum > 0 ? tf.train.momentum(rate, momentum) : tf.train.sgd(rate);
  const random = Random.stream(0, 1);
  const numbers = (size: number) => Float32Array.from({ length: size }, () => random.uniform());
  const shape = [batch, ...net.input];
  // Variables have to be there before gradients are asked for.
  tf.tidy(() => net.logits(tf.tensor(numbers(sizeOf(net.input)), [1, ...net.input])));
  return {
    async round() {
      const pictures = Array.from({ length: steps }, () => numbers(sizeOf(shape)));
      const labels = Array.from({ length: steps }, () => Int32Array.from({ length: batch }, () => random.below(10)));
      const started = performance.now();
      const losses: TfTensor[] = [];
      for (let i = 0; i < steps; i++) {
        const loss = tf.tidy(() => {
          const x = tf.tensor(pictures[i], shape);
          const y = tf.oneHot(tf.tensor(labels[i], [batch], 'int32'), 10);
          return optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, net.logits(x)), true);
        });
        losses.push(loss);
      }
      for (const loss of losses) {
        loss.dataSync();
        loss.dispose();
      }
      return (performance.now() - started) / steps;
    },
    close: async () => {},
  };
}

interface HandNet {
  readonly input: readonly number[];
  logits(x: TfTensor): TfTensor;
}

/** Variables are made in the first pass; later ones take them in the same order. */
function variables(tf: Tf): { next(shape: readonly number[], fill?: number): TfTensor; restart(): void } {
  const made: TfTensor[] = [];
  const random = Random.stream(0, 2);
  let at = 0;
  return {
    restart: () => (at = 0),
    next(shape, fill) {
      if (at === made.length) {
        const scale = Math.sqrt(2 / sizeOf(shape.slice(0, -1)));
        const values = Float32Array.from({ length: sizeOf(shape) }, () => fill ?? scale * random.normal());
        made.push(tf.variable(tf.tensor(values, shape), fill !== RUNNING));
      }
      return made[at++];
    },
  };
}

/** What running statistics begin with marks them as not trained. */
const RUNNING = 1e-9;

function mnist(tf: Tf): HandNet {
  const v = variables(tf);
  const layer = (x: TfTensor, shape: number[]) =>
    tf.relu(tf.add(tf.conv2d(x, v.next(shape), 1, 'same'), v.next([shape[3]], 0.1)));
  const dense = (x: TfTensor, shape: number[]) => tf.add(tf.matMul(x, v.next(shape)), v.next([shape[1]], 0.1));
  return {
    input: [28, 28, 1],
    logits(images) {
      v.restart();
      let x = tf.maxPool(layer(images, [5, 5, 1, 32]), 2, 2, 'valid');
      x = tf.maxPool(layer(x, [5, 5, 32, 64]), 2, 2, 'valid');
      x = tf.relu(dense(tf.reshape(x, [x.shape[0], 3136]), [3136, 1024]));
      return dense(x, [1024, 10]);
    },
  };
}

function resnet20(tf: Tf): HandNet {
  const v = variables(tf);
  const norm = (x: TfTensor): TfTensor => {
    const channels = [x.shape[3]];
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    const [beta, gamma] = [v.next(channels, 0), v.next(channels, 1)];
    for (const statistic of [mean, variance]) {
      const running = v.next(channels, RUNNING);
      running.assign(tf.add(tf.mul(running, 0.9), tf.mul(statistic, 0.1)));
    }
    return tf.batchNorm4d(x, mean, variance, beta, gamma, 1e-5);
  };
  const conv = (x: TfTensor, width: number, stride: number) =>
    norm(tf.conv2d(x, v.next([3, 3, x.shape[3], width]), stride, 'same'));
  const shortcut = (x: TfTensor, width: number, stride: number): TfTensor => {
    if (stride === 1) return x;
    const half = (width - x.shape[3]) / 2;
    return tf.pad(tf.avgPool(x, 1, 2, 'valid'), [
      [0, 0],
      [0, 0],
      [0, 0],
      [half, half],
    ]);
  };
  return {
    input: [32, 32, 3],
    logits(images) {
      v.restart();
      let x = tf.relu(conv(images, 16, 1));
      [16, 32, 64].forEach((width, stage) => {
        for (let block = 0; block < 3; block++) {
          const stride = stage > 0 && block === 0 ? 2 : 1;
          const inner = tf.relu(conv(x, width, stride));
          x = tf.relu(tf.add(conv(inner, width, 1), shortcut(x, width, stride)));
        }
      });
      return tf.add(tf.matMul(tf.mean(x, [1, 2]), v.next([64, 10])), v.next([10], 0));
    },
  };
}
