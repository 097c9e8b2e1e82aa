import { availableParallelism } from 'node:os';

/** @returns the threads that are used unless said otherwise: as many as this process may use processors. */
export function defaultThreads(): number {
  return Math.max(1, availableParallelism());
}
