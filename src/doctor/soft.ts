import type { Finding } from './diagnosis.js';

/** Runs a probe; where it throws, that is the finding. `rest` is what its facts hold then. */
export async function soft<T extends Finding>(
  name: T['name'],
  rest: Omit<T, keyof Finding>,
  probe: () => T | Promise<T>,
): Promise<T> {
  try {
    return await probe();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ...rest, name, state: 'unknown', what: `could not be found out: ${why}` } as T;
  }
}
