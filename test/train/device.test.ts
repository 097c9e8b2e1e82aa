import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mlp } from '../../models/index.js';
import { encodeModel } from '../../src/onnx/write.js';
import { Random } from '../../src/tensor/random.js';
import type * as Background from '../../src/train/background.js';
import type * as Remote from '../../src/train/remote.js';
import { compileLoop } from '../../src/train/loop.js';
import { buildStep, initialState } from '../../src/train/step.js';
import { build } from '../built.js';
import { feedsOf, tinyNet } from './net.js';
import { webgpuReason } from './webgpu.js';

const why = process.platform !== 'linux' ? 'processes are found in /proc' : await webgpuReason();
let program: Awaited<ReturnType<typeof build>>;
let folder: string;

beforeAll(async () => {
  program = await build();
  folder = await mkdtemp(join(tmpdir(), 'cges device '));
}, 120_000);
afterAll(async () => {
  await program.release();
  await rm(folder, { recursive: true, force: true });
});

describe('a training step in a process of its own', () => {
  const open = async (patience: Remote.Patience) => {
    const { processLine } = (await import(join(program.folder, 'src/train/background.js'))) as typeof Background;
    const { openRemote } = (await import(join(program.folder, 'src/train/remote.js'))) as typeof Remote;
    const graph = tinyNet(4);
    const optimizer = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 } as const;
    const step = buildStep(graph, { loss: 'cross-entropy', output: 0, batchNorm: 'frozen', optimizer });
    const line = processLine();
    const options = { provider: 'cpu', threads: 1 } as never;
    const load = { how: 'loop', step: compileLoop(step), options } as const;
    const run = await openRemote(line, load, initialState(graph, step), patience);
    return { run, pid: line.pid!, feeds: () => feedsOf(3, [4], 1, { rate: 0.1 }) };
  };

  it('gives what it gives in this one, and ends', async () => {
    const { run, feeds } = await open({ first: 60, again: 60 });
    const { loss } = await run.run(feeds());
    expect(loss).toHaveLength(3);
    expect([...(await run.state()).keys()]).toContain('w1');
    await run.close();
  });

  it.each(['SIGKILL', 'SIGSTOP'] as const)('that is hit by %s ends in an error', async (signal) => {
    const { run, pid, feeds } = await open({ first: 60, again: 1 });
    await run.run(feeds());
    process.kill(pid, signal);
    await expect(run.run(feeds())).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    await run.close();
    expect(() => process.kill(pid, 0)).toThrow();
  });
});

describe('a job on a device', () => {
  it.skipIf(why)(
    `that is lost says so, and goes on from where it was saved${why ? ` (skipped: ${why})` : ''}`,
    { timeout: 400_000 },
    async () => {
      const [model, data, out] = ['net.onnx', 'data.csv', 'out.onnx'].map((name) => join(folder, name));
      await writeFile(model, encodeModel(mlp({ inputs: 6, hidden: [16], outputs: 3 })));
      await writeFile(data, table(600));
      const args = [
        model,
        out,
        '--data',
        data,
        '--label-column',
        '6',
        '--epochs',
        '400',
        '--recover-epochs',
        '2',
        '--batch',
        '32',
      ];
      const lost = await losing(out, [...args, '--provider', 'webgpu']);
      expect(lost).toMatchObject({ exit: 9, err: expect.stringMatching(/webgpu was lost in the middle of training/) });
      expect(lost.err).toContain(`goes on from ${out}.checkpoint`);
      expect(existsSync(out)).toBe(false);
      const main = join(program.folder, 'cli/main.js');
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args, '--provider', 'cpu']);
      expect(stdout + stderr).toMatch(/going on in round 1/);
      expect(existsSync(out)).toBe(true);
      expect(existsSync(`${out}.checkpoint`)).toBe(false);
    },
  );

  /** Kills the process that trains as soon as something was saved. */
  async function losing(out: string, args: readonly string[]): Promise<{ exit: number | null; err: string }> {
    const job = spawn(process.execPath, [join(program.folder, 'cli/main.js'), ...args]);
    let err = '';
    job.stderr.on('data', (text: Buffer) => (err += text.toString()));
    const watch = setInterval(() => {
      if (!existsSync(join(`${out}.checkpoint`, 'checkpoint.onnx'))) return;
      void children(job.pid!).then((pids) => pids.forEach((pid) => process.kill(pid, 'SIGKILL')));
    }, 200);
    const exit = await new Promise<number | null>((resolve) => job.on('exit', resolve));
    clearInterval(watch);
    return { exit, err };
  }
});

async function children(pid: number): Promise<number[]> {
  const numbers = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    numbers.map(async (entry) => {
      // pid (name) state parent …
      const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
      return Number(/\) \S (\d+)/.exec(stat)?.[1]) === pid ? [Number(entry)] : [];
    }),
  );
  return found.flat();
}

/** Classes by the largest of the first three of six numbers. */
function table(rows: number): string {
  const random = Random.stream(1, 1);
  return Array.from({ length: rows }, () => {
    const x = Array.from({ length: 6 }, () => random.normal());
    return [...x.map((v) => v.toFixed(4)), x.indexOf(Math.max(x[0], x[1], x[2]))].join(',');
  }).join('\n');
}
