import type { Machine } from './machine.js';

/** What came of a script in a process of its own. */
export interface Answer<T> {
  /** What it said. */
  readonly said?: T;
  /** Why it said nothing: what it threw, or what ended the process. */
  readonly why?: string;
  /** What the libraries that it loaded wrote to the error stream. */
  readonly err: string;
}

const MARK = '@doctor@';

/**
 * Runs JavaScript in a process of its own, as libraries of broken drivers end the process that loads them, or never
 * return. The script finds its arguments in `args`, and answers with `say`. Never throws.
 */
export async function ask<T>(
  machine: Machine,
  script: string,
  args: readonly string[],
  seconds: number,
): Promise<Answer<T>> {
  const code = `
    const args = process.argv.slice(1);
    const say = (said) => require('node:fs').writeSync(1, '\\n${MARK}' + JSON.stringify(said) + '\\n');
    (async () => { ${script} })().catch((e) => say({ thrown: String((e && e.message) || e) }));`;
  const ran = await machine.run(process.execPath, ['--input-type=commonjs', '-e', code, '--', ...args], seconds);
  const line = ran.out.split('\n').findLast((text) => text.startsWith(MARK));
  if (line === undefined) return { err: ran.err, why: `${ran.why ?? 'said nothing'} while loading` };
  const said = JSON.parse(line.slice(MARK.length)) as T & { thrown?: string };
  return said.thrown === undefined ? { said, err: ran.err } : { why: said.thrown, err: ran.err };
}
