import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { onnx } from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { makeTensor } from '../../src/onnx/make.js';
import { decodeModel, readModel } from '../../src/onnx/read.js';
import { cloneMessage, decodeMessage } from '../../src/onnx/schema.js';
import { tensorOf } from '../../src/onnx/tensors.js';
import { encodeModel } from '../../src/onnx/write.js';
import { openSession } from '../../src/runtime/session.js';
import { sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import { bytes, everything, type Field, tensor, wire } from './everything.js';
import { realModels, smallModel, whyNoRealModels } from './shared.js';

describe('a read–write round trip', () => {
  test('keeps every field of every message, byte for byte', () => {
    const original = wire(everything);
    const { model } = decodeModel(original);
    expect(encodeModel(model)).toEqual(original);
    expect(Object.keys(model)).not.toContain('$unknowns');
    expect(collectUnknown(model)).toBe(0);
  });

  test('keeps fields that are newer than the schema, at every level', () => {
    const future: Field[] = [
      [900, 'new'],
      [901, [[1, 5]]],
      [902, { f64: 0.5 }],
      [903, { f32: 2 }],
      [904, 77],
    ];
    const original = wire([
      [1, 99],
      [
        7,
        [
          [1, [[2, 'y'], [4, 'Op'], [5, [[1, 'a'], [99, 3], ...future]], ...future]],
          [5, [...tensor, ...future]],
          ...future,
        ],
      ],
      [8, [[2, 30], ...future]],
      ...future,
    ]);
    const { model } = decodeModel(original);
    expect(encodeModel(model)).toEqual(original);
    expect(encodeModel(cloneMessage(model))).toEqual(original);
    expect(collectUnknown(model)).toBeGreaterThan(20);
  });

  test('keeps 64-bit integers exact', () => {
    const { model } = decodeModel(wire(everything));
    const [, i, , , , , ints] = model.graph.node[0].attribute;
    expect(String(i.i)).toBe('-9223372036854775808');
    expect(ints.ints.map(String)).toEqual(['4611686018427387905', '-1']);
  });

  test('reads lists in packed and in unpacked form alike', () => {
    const varints = bytes(3, 4);
    const floats = new Uint8Array(Float32Array.of(1.5, -2).buffer);
    const model = (list: Field[], attribute: Field[]) =>
      decodeModel(
        wire([
          [1, 8],
          [
            7,
            [
              [
                1,
                [
                  [2, 'y'],
                  [4, 'Op'],
                  [5, [[1, 'a'], ...attribute]],
                ],
              ],
              [5, list],
            ],
          ],
          [8, [[2, 18]]],
        ]),
      ).model;
    const unpacked = model(
      [
        [1, 3],
        [1, 4],
        [2, 1],
        [4, { f32: 1.5 }],
        [4, { f32: -2 }],
        [7, 3],
        [7, 4],
      ],
      [
        [8, 3],
        [8, 4],
        [7, { f32: 1.5 }],
        [7, { f32: -2 }],
      ],
    );
    const packed = model(
      [
        [1, varints],
        [2, 1],
        [4, floats],
        [7, varints],
      ],
      [
        [8, varints],
        [7, floats],
      ],
    );
    expect(encodeModel(packed)).toEqual(encodeModel(unpacked));
    expect(packed.graph.initializer[0].dims.map(Number)).toEqual([3, 4]);
    expect(packed.graph.initializer[0].floatData).toEqual([1.5, -2]);
    expect(packed.graph.node[0].attribute[0].ints.map(Number)).toEqual([3, 4]);
  });

  test('tells a default that was written from one that was not', () => {
    const { model } = decodeModel(
      wire([
        [1, 8],
        [3, ''],
        [
          7,
          [
            [
              1,
              [
                [2, 'y'],
                [4, 'Op'],
                [
                  5,
                  [
                    [1, 'a'],
                    [2, { f32: 0 }],
                    [3, 0],
                  ],
                ],
              ],
            ],
          ],
        ],
        [8, [[2, 18]]],
      ]),
    );
    expect(model.producerVersion).toBe('');
    expect(model.producerName).toBeUndefined();
    expect(model.docString).toBeUndefined();
    const [a] = model.graph.node[0].attribute;
    expect([a.f, Number(a.i), a.s, a.t, a.type]).toEqual([0, 0, undefined, undefined, undefined]);
    expect(model.graph.node[0].domain).toBeUndefined();
    expect(model.graph.initializer).toEqual([]);
  });

  test('takes messages that were built and messages that were read', () => {
    const { model } = decodeModel(encodeModel(smallModel()));
    model.graph.node[0].attribute.push(...decodeModel(encodeModel(smallModel())).model.graph.node[0].attribute);
    model.graph.initializer.push(makeTensor('more', tensorOf(model.graph.initializer[0])));
    expect(decodeModel(encodeModel(model)).model.graph.initializer.map((t) => t.name)).toEqual(['w', 'b', 'more']);
  });

  test('is read alike by onnx-proto', () => {
    const theirs = onnx.ModelProto.decode(encodeModel(smallModel()));
    expect(theirs.graph?.node?.[0].opType).toBe('Gemm');
    expect(theirs.graph?.initializer?.[0].dims?.map(Number)).toEqual([32, 16]);
    expect(Number(theirs.opsetImport[0].version)).toBe(17);
    // And what onnx-proto writes is read here, to the same message.
    const { model } = decodeModel(onnx.ModelProto.encode(theirs).finish());
    expect(Buffer.from(encodeModel(model))).toEqual(Buffer.from(encodeModel(smallModel())));
  });
});

describe('views and copies', () => {
  test('byte fields are views into the file', () => {
    const original = encodeModel(smallModel());
    const { model } = decodeModel(original);
    expect(model.graph.initializer[0].rawData?.buffer).toBe(original.buffer);
  });

  test('a clone shares weights and nothing else', () => {
    const model = decodeMessage(wire(everything));
    const clone = cloneMessage(model);
    expect(clone.graph.initializer[0].rawData).toBe(model.graph.initializer[0].rawData);
    clone.graph.node[0].attribute.length = 0;
    clone.graph.node[0].input[0] = 'other';
    clone.graph.initializer[0].dims[0] = 17;
    expect(encodeModel(model)).toEqual(wire(everything));
  });
});

describe('real models', () => {
  test.skipIf(realModels.length === 0)(`${realModels.length || whyNoRealModels} files come back byte for byte`, () => {
    for (const path of realModels) {
      const { bytes: original, model } = readModel(path);
      const again = encodeModel(model);
      expect(Buffer.compare(again, original), basename(path)).toBe(0);
      expect(collectUnknown(model), basename(path)).toBe(0);
      for (const t of model.graph.initializer) expect(tensorOf(t).dims.length).toBe(t.dims.length);
    }
  });

  test.skipIf(realModels.length === 0)(
    `onnx-proto finds the same in them ${realModels.length ? '' : whyNoRealModels}`,
    () => {
      for (const path of realModels) {
        const theirs = onnx.ModelProto.decode(readFileSync(path));
        const { model } = readModel(path);
        expect(model.graph.node.map((n) => [n.opType, ...n.input])).toEqual(
          theirs.graph?.node?.map((n) => [n.opType, ...(n.input ?? [])]),
        );
        for (const [i, t] of (theirs.graph?.initializer ?? []).entries()) {
          const ours = model.graph.initializer[i];
          expect(ours.dims.map(String)).toEqual(t.dims?.map(String));
          expect(Buffer.compare(ours.rawData ?? Buffer.alloc(0), t.rawData ?? Buffer.alloc(0))).toBe(0);
          expect(ours.floatData).toEqual(t.floatData);
        }
      }
    },
  );

  const few = realModels.filter((p) => /mnist-cntk|resnet8|hand-keypoint|point-history|ultraface/.test(p));
  test.skipIf(few.length === 0)(
    `onnxruntime computes the same from what was written again ${few.length ? '' : whyNoRealModels}`,
    async () => {
      for (const path of few) {
        const outputs: Record<string, Tensor>[] = [];
        for (const source of [path, encodeModel(cloneMessage(readModel(path).model))]) {
          const session = await openSession(source, { threads: { intraOp: 1 } });
          const feeds = Object.fromEntries(
            session.inputs.map(({ name, shape: s = [] }) => {
              const dims = s.map((d) => (typeof d === 'number' && d > 0 ? d : 1));
              const data = Float32Array.from({ length: sizeOf(dims) }, (_, i) => Math.sin(i));
              return [name, { dtype: 'float32', dims, data } as const];
            }),
          );
          outputs.push(await session.run(feeds));
          await session.close();
        }
        expect(outputs[1], basename(path)).toEqual(outputs[0]);
      }
    },
  );
});

function collectUnknown(value: unknown): number {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 0;
  const unknowns = '$unknowns' in value && Array.isArray(value.$unknowns) ? value.$unknowns.length : 0;
  return Object.values(value).reduce((sum: number, v) => sum + collectUnknown(v), unknowns);
}
