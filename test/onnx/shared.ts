import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { CgesError } from '../../src/errors.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { float32 } from '../../src/tensor/tensor.js';

const folder = fileURLToPath(new URL('../../../shared/models/', import.meta.url));

/** Paths of real models, where they are there. */
export const realModels: readonly string[] = existsSync(folder)
  ? readdirSync(folder)
      .filter((name) => name.endsWith('.onnx'))
      .map((name) => join(folder, name))
  : [];

export const whyNoRealModels = `skipped: no models in ${folder}`;

/** @returns the error that a user would see. Fails where there is none. */
export async function errorOf(action: () => unknown): Promise<CgesError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof CgesError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}

/** A folder of its own for one test, removed at its end. */
export function testFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'cges-onnx-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** y = x · w + b with w of 32×16 (2 KiB) and b of 16. */
export function smallModel(): ModelProto {
  const w = float32(
    [32, 16],
    Array.from({ length: 512 }, (_, i) => Math.fround(Math.sin(i))),
  );
  const b = float32(
    [16],
    Array.from({ length: 16 }, (_, i) => i / 4),
  );
  return makeModel(
    makeGraph({
      node: [makeNode('Gemm', ['x', 'w', 'b'], ['y'])],
      initializer: [makeTensor('w', w), makeTensor('b', b)],
      input: [makeValueInfo('x', 'float32', ['N', 32])],
      output: [makeValueInfo('y', 'float32', ['N', 16])],
    }),
    17,
  );
}
