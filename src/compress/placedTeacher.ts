import type { TrainingGraph } from '../shape/training-graph.js';
import type { Tensor } from '../tensor/tensor.js';
import { openTeacher, type Teacher, type TeacherOptions } from '../train/teacher.js';
import type { Place } from './place.js';

/** What the scores of a device may be off, of the greatest of them. */
const TOLERANCE = 1e-2;

/**
 * Opens the teacher where the job trains: on a device only if it loads there and scores a batch as on the cpu.
 * @param sample inputs of one batch
 */
export async function openPlacedTeacher(
  graph: TrainingGraph,
  options: Omit<TeacherOptions, 'provider'>,
  place: Place,
  sample: () => Promise<Record<string, Tensor>>,
): Promise<Teacher> {
  const onCpu = await openTeacher(graph, { ...options, provider: 'cpu' });
  const { provider } = place.now();
  if (provider === 'cpu') return onCpu;
  const onDevice = await openTeacher(graph, { ...options, provider }).catch(() => undefined);
  if (!onDevice) return onCpu;
  const inputs = await sample();
  const expected = await onCpu.scores(inputs, graph.batch);
  const found = await onDevice.scores(inputs, graph.batch).catch(() => []);
  const [good, other] = agree(found, expected) ? [onDevice, onCpu] : [onCpu, onDevice];
  await other.close();
  return good;
}

function agree(found: readonly Tensor[], expected: readonly Tensor[]): boolean {
  return expected.every(({ data }, k) => {
    const [values, others] = [data as Float32Array, found[k]?.data as Float32Array | undefined];
    const greatest = values.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    return others !== undefined && values.every((v, i) => Math.abs(others[i] - v) <= TOLERANCE * greatest);
  });
}
