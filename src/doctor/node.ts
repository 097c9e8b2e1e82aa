import { availableParallelism, cpus, totalmem } from 'node:os';
import { formatBytes } from '../report/format.js';
import type { NodeFacts } from './diagnosis.js';
import type { Machine } from './machine.js';

/** The oldest Node that this package runs on. */
const OLDEST = [20, 19];

/** Finds what Node this is, and what it may use of the machine. */
export function probeNode({ node, platform, arch }: Machine): NodeFacts {
  const processors = Math.max(1, availableParallelism());
  const memoryBytes = usableMemory();
  const facts = { name: 'Node', version: node, platform, arch, processors, memoryBytes };
  const model = cpus()[0]?.model.trim();
  const what = `${node} on ${platform} ${arch}, ${count(processors)}${model ? ` of ${model}` : ''}, ${formatBytes(memoryBytes)} of memory`;
  const [major, minor] = node.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return { ...facts, state: 'works', what };
  const command = platform === 'win32' ? 'winget install OpenJS.NodeJS.LTS' : 'nvm install 22';
  return { ...facts, state: 'broken', what: `${what}; ${OLDEST.join('.')} or newer is needed`, command };
}

/** In bytes; a container may be allowed less than there is. */
function usableMemory(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}

function count(n: number): string {
  return n === 1 ? '1 processor' : `${n} processors`;
}
