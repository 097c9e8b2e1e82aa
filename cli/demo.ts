import { mkdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { glyphNames, mnistConvNet, writeGlyphs } from '../models/index.js';
import { trainFromScratch } from '../models/trainFromScratch.js';
import { compress } from '../src/compress.js';
import { writeModel } from '../src/onnx/write.js';
import { formatSeconds } from '../src/report/format.js';
import { type ProgressStream, showProgress } from '../src/report/progress.js';
import { drawSheet } from './demo-sheet.js';
import { describeFailure } from './failure.js';
import { onInterrupt } from './interrupt.js';
import { printReport } from './printing.js';
import { seedNumber } from './values.js';

/*
 * The whole job on data and a model that are made here: glyphs are drawn, a network learns them, and is then compressed
 * by the same call that `cges-compress in.onnx out.onnx --data …` makes.
 */

interface Flags {
  readonly out: string;
  readonly seed: number;
}

/** Widths of the paper's MNIST net, reduced so that the demo takes about a minute. */
const WIDTHS = [16, 32, 128] as const;
const CLASSIFIER = 'dense2.weight';

const program = new Command('demo')
  .description('Draws glyphs, trains a network on them, and compresses it.')
  .option('--out <folder>', 'where everything is written', join('out', 'demo'))
  .option('--seed <number>', 'start of all random numbers', seedNumber, 0)
  .action(demo);

await program.parseAsync().catch((error: unknown) => {
  const { text, exit } = describeFailure(error, false);
  process.stderr.write(text);
  process.exitCode = exit;
});

async function demo({ out, seed }: Flags): Promise<void> {
  const started = performance.now();
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const at = (name: string) => join(out, name);
  const data = at('data');
  await mkdir(out, { recursive: true });
  const interrupt = onInterrupt(say);
  let last = started;
  const progress = showProgress(process.env.CI ? plain(process.stderr) : process.stderr, { plainEvery: 5_000 });
  try {
    say(`1/4  drawing glyphs: ${glyphNames.join(', ')}`);
    await writeGlyphs(data, { seed, train: 6000, test: 1000 });

    say('2/4  training a convolutional net on them, from scratch');
    const { file, accuracy } = await trainFromScratch(mnistConvNet({ seed, init: 'he', widths: WIDTHS }), {
      data,
      steps: 300,
      dropout: { ratio: 0.5, before: CLASSIFIER },
      seed,
      signal: interrupt.signal,
      onProgress: ({ step, steps, loss, secondsLeft }) => {
        const now = performance.now();
        if (now - last < 4000) return;
        last = now;
        say(`     step ${step}/${steps}  loss ${loss.toFixed(3)}  ${formatSeconds(secondsLeft)} left`);
      },
    });
    await writeModel(file.model, at('in.onnx'));
    say(`     ${(accuracy * 100).toFixed(1)} % of the test glyphs are recognised`);

    say(
      `3/4  cges-compress ${at('in.onnx')} ${at('out.onnx')} --data ${data} --epochs 8 --recover-epochs 8 --time-budget 80s`,
    );
    const report = await compress({
      input: at('in.onnx'),
      output: at('out.onnx'),
      data,
      epochs: 8,
      recoverEpochs: 8,
      timeBudget: 80,
      seed,
      signal: interrupt.signal,
      onEvent: progress.onEvent,
    });
    progress.end();

    say('4/4  drawing the picture');
    await drawSheet({ report, data, before: at('in.onnx'), after: at('out.onnx'), picture: at('demo.png') });
    process.stdout.write(`\n${printReport(report)}\n`);
    const files = {
      'the glyphs (IDX)': data,
      before: at('in.onnx'),
      after: at('out.onnx'),
      'the picture': at('demo.png'),
    };
    for (const [what, path] of Object.entries(files)) {
      process.stdout.write(`${what.padEnd(18)}${relative(process.cwd(), resolve(path)) || path}\n`);
    }
    process.stdout.write(`The demo took ${Math.round((performance.now() - started) / 1000)} s.\n`);
  } finally {
    progress.end();
    interrupt.release();
  }
}

/** A stream that is told apart from a terminal: plain lines. */
function plain(stream: ProgressStream): ProgressStream {
  return { write: (text) => stream.write(text) };
}
