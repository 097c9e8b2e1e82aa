import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/autodiff/backward.js';
import { emitForward, type SpecLookup } from '../../src/autodiff/forward.js';
import { CgesError } from '../../src/errors.js';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import { makeNode } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import { specOf } from '../../src/ops/index.js';
import type { LowerContext, OpSpec } from '../../src/ops/spec.js';
import type { Tensor } from '../../src/tensor/tensor.js';
import { checkGradients, drawn, shaped } from './gradientCheck.js';

const context: LowerContext = {
  batchNorm: 'frozen',
  update: () => {
    throw new Error('nothing is updated here');
  },
  random: () => {
    throw new Error('nothing is random here');
  },
};

async function swept(
  nodes: readonly NodeProto[],
  feeds: Record<string, Tensor>,
  output: string,
  wanted: readonly string[],
  lookup: SpecLookup = specOf,
): Promise<{ g: GraphBuilder; grads: Map<string, Value>; forwardNodes: number }> {
  const graph = await shaped({ nodes, feeds, outputs: [output] });
  const g = new GraphBuilder();
  const given = new Map(
    Object.entries(feeds).map(([name, t]) => [name, { name: g.unique(name), dtype: t.dtype, shape: t.dims }]),
  );
  const forward = emitForward(g, graph, given, context, lookup);
  const forwardNodes = g.nodes.length;
  const seed = g.constant(drawn(graph.values.get(output)!.shape, 1), 'seed');
  const grads = gradients(g, forward, new Map([[output, seed]]), wanted);
  return { g, grads, forwardNodes };
}

const chain = [
  makeNode('Gemm', ['x', 'w1'], ['h'], {}, { name: 'fc1' }),
  makeNode('Relu', ['h'], ['r'], {}, { name: 'act' }),
  makeNode('Gemm', ['r', 'w2'], ['y'], {}, { name: 'fc2' }),
];
const feeds = { x: drawn([3, 4], 1), w1: drawn([4, 5], 2), w2: drawn([5, 2], 3) };

describe('the reverse sweep', () => {
  it('emits only what lies between wanted values and the seeds', async () => {
    const { g, grads, forwardNodes } = await swept(chain, feeds, 'y', ['w2']);
    expect([...grads.keys()]).toEqual(['w2']);
    expect(g.nodes.slice(forwardNodes).map((n) => n.opType)).toEqual(['Gemm']);
  });

  it('names gradients after their values and nodes after the rule that emitted them', async () => {
    const { g, grads, forwardNodes } = await swept(chain, feeds, 'y', ['w1', 'w2']);
    expect(grads.get('w1')?.name).toBe('w1.grad');
    expect(grads.get('w2')?.name).toBe('w2.grad');
    const names = g.nodes.slice(forwardNodes).map((n) => n.output[0]);
    expect(names).toContain('act/grad/Greater');
    expect(names).toContain('h.grad');
  });

  it('leaves out wanted values that no seed depends on', async () => {
    const nodes = [...chain, makeNode('Gemm', ['x', 'w3'], ['other'], {}, { name: 'fc3' })];
    const { grads } = await swept(nodes, { ...feeds, w3: drawn([4, 2], 4) }, 'y', ['w1', 'w3']);
    expect([...grads.keys()]).toEqual(['w1']);
  });

  it('sums what flows back from several readers', async () => {
    const nodes = [
      makeNode('Mul', ['a', 'a'], ['b'], {}, { name: 'square' }),
      makeNode('Add', ['b', 'a'], ['c'], {}, { name: 'plus' }),
      makeNode('Mul', ['c', 'a'], ['y'], {}, { name: 'times' }),
    ];
    const { slopes } = await checkGradients({ nodes, feeds: { a: drawn([2, 3], 5) }, outputs: ['y'] });
    expect(slopes[0].analytic).toBeCloseTo(slopes[0].numeric, 2);
  });

  it('undoes broadcasting', async () => {
    const nodes = [makeNode('Add', ['x', 'b'], ['y'], {}, { name: 'add' })];
    const net = { nodes, feeds: { x: drawn([2, 3, 4], 6), b: drawn([3, 1], 7) }, outputs: ['y'] };
    const { gradients: got } = await checkGradients(net);
    expect(got.b.dims).toEqual([3, 1]);
  });

  it('stops at an operator without gradient, naming it', async () => {
    const nodes = [...chain, makeNode('LpPool', ['y3'], ['z'], { kernel_shape: [2] }, { name: 'pool' })];
    nodes.splice(3, 0, makeNode('Unsqueeze', ['y', 'axes'], ['y3'], {}, { name: 'wide' }));
    const axes: Tensor = { dtype: 'int64', dims: [1], data: BigInt64Array.of(0n) };
    const failing = swept(nodes, { ...feeds, axes }, 'z', ['w1']);
    await expect(failing).rejects.toBeInstanceOf(CgesError);
    await expect(failing).rejects.toMatchObject({
      code: 'NO_GRADIENT',
      place: { node: 'pool', op: 'LpPool' },
      hint: expect.stringContaining('--freeze'),
    });
  });

  it('passes by an operator without gradient that no wanted value goes through', async () => {
    const nodes = [
      makeNode('Erf', ['x'], ['e'], {}, { name: 'erf' }),
      makeNode('Gemm', ['e', 'w1'], ['y'], {}, { name: 'fc' }),
    ];
    const blind: SpecLookup = (op, domain) => (op === 'Erf' ? undefined : specOf(op, domain));
    const { grads } = await swept(nodes, feeds, 'y', ['w1'], blind);
    expect([...grads.keys()]).toEqual(['w1']);
  });

  it('rejects a rule whose answer has a wrong shape', async () => {
    const wrong: OpSpec = { ...specOf('Relu')!, grad: (g, _, [dy]) => [() => g.reduceSum(dy!, [0])] };
    const lookup: SpecLookup = (op, domain) => (op === 'Relu' ? wrong : specOf(op, domain));
    await expect(swept(chain, feeds, 'y', ['w1'], lookup)).rejects.toThrow(/gradient of Relu act, input 0/);
  });
});
