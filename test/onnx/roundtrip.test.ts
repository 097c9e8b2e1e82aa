import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import Long from 'long';
import { onnx } from 'onnx-proto';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { makeTensor } from '../../src/onnx/make.js';
import { decodeModel, readModel } from '../../src/onnx/read.js';
import { cloneMessage, decodeMessage } from '../../src/onnx/schema.js';
import { tensorOf } from '../../src/onnx/tensors.js';
import { encodeModel } from '../../src/onnx/write.js';
import { openSession } from '../../src/runtime/session.js';
import { sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import { realModels, smallModel, whyNoRealModels } from './shared.js';

/** One record of the wire format. */
type Field = [id: number, value: string | number | bigint | Uint8Array | Field[] | { f32: number } | { f64: number }];

function wire(fields: readonly Field[]): Uint8Array {
  const w = protobuf.Writer.create();
  for (const [id, value] of fields) {
    if (typeof value === 'number') w.uint32(id << 3).int64(value);
    else if (typeof value === 'bigint') w.uint32(id << 3).int64(Long.fromString(value.toString()));
    else if (typeof value === 'string') w.uint32((id << 3) | 2).string(value);
    else if (value instanceof Uint8Array) w.uint32((id << 3) | 2).bytes(value);
    else if (Array.isArray(value)) w.uint32((id << 3) | 2).bytes(wire(value));
    else if ('f32' in value) w.uint32((id << 3) | 5).float(value.f32);
    else w.uint32((id << 3) | 1).double(value.f64);
  }
  return w.finish();
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const entry: Field[] = [
  [1, 'key'],
  [2, 'value'],
];
const shape: Field[] = [
  [
    1,
    [
      [1, 3],
      [3, 'CHANNEL'],
    ],
  ],
  [1, [[2, 'N']]],
  [1, []],
];
const tensor: Field[] = [
  [1, 2],
  [2, 1],
  [8, 'w'],
  [9, new Uint8Array(8)],
  [12, 'doc'],
  [16, entry],
];
const sparse: Field[] = [
  [1, tensor],
  [2, tensor],
  [3, 100],
];
const type: Field[] = [
  [
    1,
    [
      [1, 1],
      [2, shape],
    ],
  ],
  [6, 'IMAGE'],
];
const types: Field[][] = [
  type,
  [[4, [[1, type]]]],
  [
    [
      5,
      [
        [1, 7],
        [2, type],
      ],
    ],
  ],
  [
    [
      7,
      [
        [1, 'domain'],
        [2, 'name'],
      ],
    ],
  ],
  [
    [
      8,
      [
        [1, 1],
        [2, shape],
      ],
    ],
  ],
  [[9, [[1, type]]]],
];
const valueInfo: Field[] = [
  [1, 'v'],
  [2, type],
  [3, 'doc'],
  [4, entry],
];
const body: Field[] = [
  [
    1,
    [
      [2, 'c'],
      [4, 'Identity'],
    ],
  ],
  [2, 'body'],
];
const attributes: Field[][] = [
  [
    [1, 'a'],
    [2, { f32: 0.1 }],
    [13, 'doc'],
    [20, 1],
  ],
  [
    [1, 'b'],
    [3, -(2n ** 63n)],
    [20, 2],
  ],
  [
    [1, 'c'],
    [4, bytes(0xff, 0x00, 0xfe)],
    [20, 3],
  ],
  [
    [1, 'd'],
    [5, tensor],
    [20, 4],
  ],
  [
    [1, 'e'],
    [6, body],
    [20, 5],
  ],
  [
    [1, 'f'],
    [7, { f32: 1 }],
    [7, { f32: -0 }],
    [20, 6],
  ],
  [
    [1, 'g'],
    [8, 2n ** 62n + 1n],
    [8, -1],
    [20, 7],
  ],
  [
    [1, 'h'],
    [9, bytes(1)],
    [9, bytes()],
    [20, 8],
  ],
  [
    [1, 'i'],
    [10, tensor],
    [20, 9],
  ],
  [
    [1, 'j'],
    [11, body],
    [20, 10],
  ],
  [
    [1, 'k'],
    [14, type],
    [20, 13],
  ],
  [[1, 'l'], ...types.map((t): Field => [15, t]), [20, 14]],
  [
    [1, 'm'],
    [20, 1],
    [21, 'alpha'],
  ],
  [
    [1, 'n'],
    [20, 11],
    [22, sparse],
  ],
  [
    [1, 'o'],
    [20, 12],
    [23, sparse],
  ],
];
const device: Field[] = [
  [1, 'config'],
  [
    2,
    [
      [1, 'w'],
      [2, 0],
      [2, 1],
      [
        3,
        [
          [1, 7],
          [2, 1],
        ],
      ],
      [
        4,
        [
          [1, 0],
          [
            2,
            [
              [1, 4],
              [3, 2],
            ],
          ],
          [
            2,
            [
              [2, 'N'],
              [3, 2],
            ],
          ],
        ],
      ],
    ],
  ],
  [3, 1],
];
const node: Field[] = [
  [1, 'x'],
  [1, ''],
  [2, 'y'],
  [3, ''],
  [4, 'Op'],
  ...attributes.map((a): Field => [5, a]),
  [6, 'doc'],
  [7, 'my.domain'],
  [8, 'overload'],
  [9, entry],
  [10, device],
];
const graph: Field[] = [
  [1, node],
  [2, 'graph'],
  [5, tensor],
  [10, 'doc'],
  [11, valueInfo],
  [12, valueInfo],
  [13, valueInfo],
  [
    14,
    [
      [1, 'v'],
      [2, entry],
    ],
  ],
  [15, sparse],
  [16, entry],
];
const functionRecord: Field[] = [
  [1, 'f'],
  [4, 'x'],
  [5, 'y'],
  [6, 'alpha'],
  [7, node],
  [8, 'doc'],
  [
    9,
    [
      [1, ''],
      [2, 18],
    ],
  ],
  [10, 'my.domain'],
  [11, attributes[0]],
  [12, valueInfo],
  [13, 'overload'],
  [14, entry],
];
/** A model with every field of every message, in canonical order. */
const everything: Field[] = [
  [1, 12],
  [2, 'producer'],
  [3, ''],
  [4, 'domain'],
  [5, 2n ** 62n],
  [6, 'doc'],
  [7, graph],
  [
    8,
    [
      [1, ''],
      [2, 23],
    ],
  ],
  [14, entry],
  [
    20,
    [
      [1, graph],
      [2, graph],
      [3, entry],
      [4, entry],
    ],
  ],
  [25, functionRecord],
  [
    26,
    [
      [1, 'config'],
      [2, 2],
      [3, 'cuda:0'],
      [3, 'cuda:1'],
    ],
  ],
];

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
