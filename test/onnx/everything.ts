import Long from 'long';
import protobuf from 'protobufjs';

/** One record of the wire format. */
export type Field = [
  id: number,
  value: string | number | bigint | Uint8Array | Field[] | { f32: number } | { f64: number },
];

/** @returns records as bytes, in the given order. */
export function wire(fields: readonly Field[]): Uint8Array {
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

export const bytes = (...values: number[]) => Uint8Array.from(values);
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
export const tensor: Field[] = [
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
export const everything: Field[] = [
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
