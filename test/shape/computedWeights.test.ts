import { describe, expect, test } from 'vitest';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { channelsOf, strip } from '../../src/prune/strip.js';
import { unitsOf } from '../../src/prune/units.js';
import { openSession } from '../../src/runtime/session.js';
import { analyse } from '../../src/shape/analyse.js';
import { storeWeights } from '../../src/shape/computedWeights.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

function weight(name: string, dims: readonly number[], change?: (data: Float32Array) => void) {
  const data = Float32Array.from({ length: sizeOf(dims) }, (_, i) => Math.sin(1.7 * i + name.length));
  change?.(data);
  return makeTensor(name, float32(dims, data));
}

/** Two dense layers; `nodes` make the first weight [5, 6] of `v`. */
function file(nodes: readonly NodeProto[], v: Tensor['dims'] = [5, 6], irVersion = 8): OnnxFile {
  const initializer = [
    // Standardised, a channel without weights comes out as zero.
    weight('v', v, (d) => d.forEach((_, i) => (d[i] = i % 6 === 2 ? 0 : d[i]))),
    weight('gain', [6]),
    makeTensor('tiny', float32([], [1e-6])),
    weight('w2', [6, 3]),
  ];
  const graph = makeGraph({
    node: [
      ...nodes,
      makeNode('MatMul', ['x', 'w'], ['h']),
      makeNode('Relu', ['h'], ['r']),
      makeNode('MatMul', ['r', 'w2'], ['y']),
    ],
    initializer,
    input: [
      makeValueInfo('x', 'float32', ['N', 5]),
      ...(irVersion < 4 ? initializer.map((t) => makeValueInfo(t.name!, 'float32', t.dims.map(Number))) : []),
    ],
    output: [makeValueInfo('y', 'float32', ['N', 3])],
  });
  return { path: '', folder: '.', bytes: new Uint8Array(), model: { ...makeModel(graph, 17), irVersion } };
}

const standardised = [
  makeNode('ReduceMean', ['v'], ['mean'], { axes: [0], keepdims: 1 }),
  makeNode('Sub', ['v', 'mean'], ['centred']),
  makeNode('Mul', ['centred', 'centred'], ['squares']),
  makeNode('ReduceMean', ['squares'], ['variance'], { axes: [0], keepdims: 1 }),
  makeNode('Add', ['variance', 'tiny'], ['some']),
  makeNode('Sqrt', ['some'], ['deviation']),
  makeNode('Div', ['centred', 'deviation'], ['ratio']),
  makeNode('Mul', ['ratio', 'gain'], ['w']),
];
const normalised = [
  makeNode('ReduceL2', ['v'], ['length'], { axes: [0], keepdims: 1 }),
  makeNode('Add', ['length', 'tiny'], ['some']),
  makeNode('Div', ['v', 'some'], ['ratio']),
  makeNode('Mul', ['ratio', 'gain'], ['w']),
];

async function stored(given: OnnxFile, every = false) {
  return storeWeights(given, await analyse(given), { every });
}

describe('weights that are computed from constants', () => {
  test.each([8, 3])('standardised ones are stored, and lose channels (IR %i)', async (irVersion) => {
    const given = file(standardised, [5, 6], irVersion);
    const found = (await stored(given))!;
    expect(found.names).toEqual(['w']);
    const { graph } = found.file.model;
    expect(graph.node.map((n) => n.opType)).toEqual(['MatMul', 'Relu', 'MatMul']);
    expect(graph.initializer.map((t) => t.name).sort()).toEqual(['w', 'w2']);
    expect(graph.input.map((i) => i.name)).toEqual(irVersion < 4 ? ['x', 'w2', 'w'] : ['x']);
    expect(given.model.graph.node.length).toBe(standardised.length + 3);

    const x = float32([2, 5], [1, -2, 3, 0.5, 1, 2, 2, -1, 0, 1]);
    const outputs = await Promise.all(
      [given, found.file].map(async ({ model }) => {
        const session = await openSession(model);
        const { y } = await session.run({ x });
        await session.close();
        return Array.from(y.data as Float32Array);
      }),
    );
    outputs[0].forEach((value, i) => expect(outputs[1][i]).toBeCloseTo(value, 5));

    const analysis = await analyse(found.file);
    expect(unitsOf(channelsOf(analysis)).families.map((f) => f.count)).toEqual([6]);
    const { unitsBefore, unitsAfter } = await strip(found.file, analysis);
    expect(unitsBefore - unitsAfter).toBe(1);
  });

  test('what rules can follow stays, but where training is to change it', async () => {
    expect(await stored(file(normalised))).toBeUndefined();
    expect((await stored(file(normalised), true))?.names).toEqual(['w']);
  });

  test('what is only rearranged, or would grow, stays', async () => {
    expect(await stored(file([makeNode('Transpose', ['v'], ['w'])], [6, 5]), true)).toBeUndefined();
    const outer = [makeNode('Sin', ['v'], ['s']), makeNode('Mul', ['s', 'gain'], ['w'])];
    expect(await stored(file(outer, [5, 1]), true)).toBeUndefined();
  });

  test('what depends on an input stays', async () => {
    const dynamic = [
      makeNode('ReduceMean', ['x'], ['scale'], { keepdims: 0 }),
      makeNode('Sin', ['v'], ['s']),
      makeNode('Mul', ['s', 'scale'], ['w']),
    ];
    expect(await stored(file(dynamic), true)).toBeUndefined();
  });
});
