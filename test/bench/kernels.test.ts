import { describe, expect, it } from 'vitest';
import { openKernel, operatorsOf } from '../../bench/kernel.js';
import { type KernelCase, kernelCases } from '../../bench/kernelCases.js';
import { blockedCpuEngine, cpuEngine, standardEngine, tfjsTarget } from '../../src/onnx/engine.js';

const find = (cases: readonly KernelCase[], kind: string, title: string) =>
  cases.find((c) => c.kind === kind && c.title === title)!;

describe('forms of gradients', () => {
  it.each([standardEngine, cpuEngine, blockedCpuEngine, tfjsTarget])(
    'of $provider hold what the compiler chooses',
    (target) => {
      for (const { kind, title, forms, chosen } of kernelCases(target, 'small')) {
        const emitted = [...forms.values()].map(operatorsOf);
        expect(emitted, `${kind} ${title}`).toContain(operatorsOf(chosen));
      }
    },
  );

  it('agree with each other', async () => {
    const cases = kernelCases(cpuEngine, 'small');
    for (const [kind, title] of [
      ['dw', '8: 64 ch 8² 3×3'],
      ['dw', '8: 16→32 ch 32² 3×3 /2'],
      ['dx', '8: 64 ch 8² 3×3'],
      ['maxpool', '8: 64 ch 16² 2×2 /2'],
      ['averagepool', '8: 64 ch 16² 2×2 /2'],
      ['batchnorm', '8: 64 ch 8²'],
    ]) {
      const probes: number[] = [];
      for (const kernel of find(cases, kind, title).forms.values()) {
        const timed = await openKernel(kernel, { engine: 'onnxruntime', provider: 'cpu', threads: 1 });
        probes.push(timed.probe);
        await timed.close();
      }
      expect(probes.length, kind).toBeGreaterThan(1);
      for (const probe of probes) expect(probe, `${kind} ${title}`).toBeCloseTo(probes[0], 3);
    }
  });
});
