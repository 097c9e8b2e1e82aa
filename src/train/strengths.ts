import type { UnitFamily } from '../prune/units.js';
import type { TrainingGraph } from '../shape/training-graph.js';

/**
 * Strength of each unit's group term: what its removal saves, by its share of the MACs and of the parameters, to the
 * given power, over √size · the mean norm of its family. The scale of a layer is arbitrary (what one layer is smaller the
 * next one is larger), so a norm can be compared within a family only; so weighed, what a typical unit costs in penalty
 * does not depend on where it stands. Their geometric mean is 1.
 * @param scaleFree see `PenalisedFamily`
 * @returns per family float32 [count]
 */
export function strengths(
  families: readonly UnitFamily[],
  graph: Pick<TrainingGraph, 'parameters'>,
  exponent: number,
  scaleFree?: ReadonlySet<string>,
): Float32Array[] {
  const total = (of: (f: UnitFamily) => Float64Array) =>
    families.reduce((sum, f) => sum + of(f).reduce((a, b) => a + b, 0), 0);
  const macs = Math.max(
    1,
    total((f) => f.macs),
  );
  const parameters = Math.max(
    1,
    total((f) => f.parameters),
  );
  const raw = families.map((f) => {
    const norm = meanNorm(f, graph, scaleFree);
    return Float64Array.from(f.macs, (m, u) => {
      const saved = m / macs + f.parameters[u] / parameters;
      return norm > 0 && saved > 0 ? saved ** exponent / (Math.sqrt(f.sizes[u]) * norm) : 0;
    });
  });
  const known = raw.flatMap((w) => [...w].filter((x) => x > 0).map(Math.log));
  const mean = Math.exp(known.reduce((a, b) => a + b, 0) / Math.max(1, known.length));
  return raw.map((w) => Float32Array.from(w, (x) => (x > 0 ? x / mean : 1)));
}

/** @returns the mean norm of a family's units, over the parts whose scale counts; units of norm 0 left out. */
function meanNorm(
  family: UnitFamily,
  graph: Pick<TrainingGraph, 'parameters'>,
  scaleFree?: ReadonlySet<string>,
): number {
  const squares = new Float64Array(family.count);
  const felt = family.parts.filter((p) => !scaleFree?.has(p.parameter));
  for (const { parameter, axis, map } of felt.length > 0 ? felt : family.parts) {
    const tensor = graph.parameters.get(parameter);
    if (!tensor) continue;
    const { dims } = tensor;
    const data = tensor.data as Float32Array;
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    data.forEach((x, i) => {
      const unit = map[Math.floor(i / inner) % dims[axis]];
      if (unit >= 0) squares[unit] += x * x;
    });
  }
  const norms = [...squares].filter((s) => s > 0).map(Math.sqrt);
  return norms.reduce((a, b) => a + b, 0) / Math.max(1, norms.length);
}
