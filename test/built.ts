import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../', import.meta.url));

/** The program as users have it, for what Node itself has to load: threads and processes. */
export async function build(): Promise<{ folder: string; release(): Promise<void> }> {
  const out = join(root, 'out');
  await mkdir(out, { recursive: true });
  const folder = await mkdtemp(join(out, 'built-'));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', folder], { cwd: root });
  return { folder, release: () => rm(folder, { recursive: true, force: true }) };
}
