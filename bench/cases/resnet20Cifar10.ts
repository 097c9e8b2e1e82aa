import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { compress } from '../../src/compress.js';
import type { CompressOptions } from '../../src/options.js';
import { formatPercent } from '../../src/report/format.js';
import type { Case } from '../cases.js';
import { accuracyOf, fewer, holds, shown, within } from './bars.js';

const MODEL = 'models/resnet20-cifar10.onnx';
const DATA = 'data/cifar10';
const UNPACK = 'tools/unpack-cifar.mjs';
/** What Torch-Pruning reaches on the same model, data, machine and number of epochs at 1.5 times fewer MACs. */
const PEER = 0.9108;

const recipe: Partial<CompressOptions> = {
  epochs: 4,
  recoverEpochs: 8,
  augment: 'crop-flip',
  bn: 'live',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

export const resnet20Cifar10: Case = {
  name: 'resnet20-cifar10',
  title: 'ResNet-20 on CIFAR-10, 4 epochs with sparsity and 8 of recovery, against Torch-Pruning at the same length',
  needs: [MODEL, DATA, UNPACK],
  async run(context) {
    const { seed, onEvent } = context;
    const data = await mkdtemp(join(tmpdir(), 'cifar10-'));
    try {
      // The unpacking script looks for `sharp` from its working folder.
      const cwd = dirname(createRequire(import.meta.url).resolve('cges-compress/package.json'));
      await promisify(execFile)(process.execPath, [context.shared(UNPACK), context.shared(DATA), data], { cwd });
      const input = context.shared(MODEL);
      const common = { ...recipe, input, data, seed, onEvent };
      const report = await compress({ ...common, output: context.out('resnet20-cifar10.onnx') });
      const base = accuracyOf(report, 'before');
      const reached = accuracyOf(report, 'after');
      context.say(`${formatPercent(base)} → ${formatPercent(reached)}; the same base without sparsity follows`);
      const plain = await compress({
        ...common,
        regularizer: 'none',
        output: context.out('resnet20-cifar10-not-pruned.onnx'),
      });
      const cut = report.layers.filter((l) => l.after < l.before).map((l) => `${l.family} ${l.before}→${l.after}`);
      const bars = [
        fewer('MACs, times fewer', 1.5, report.before.macs, report.after.macs),
        holds(
          'accuracy on the 10,000 test images',
          `at least ${formatPercent(PEER)}, as Torch-Pruning`,
          `${formatPercent(reached)} (before: ${formatPercent(base)})`,
          reached >= PEER,
        ),
        within('time', 40, report.run.seconds),
        shown('the same base, equally long, not pruned', formatPercent(accuracyOf(plain, 'after'))),
        shown('families cut', cut.join(', ') || 'none'),
      ];
      return { bars, details: { report, plain } };
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  },
};
