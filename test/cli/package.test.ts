import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { createProgram } from '../../cli/program.js';
import { catalogue, exitCodes } from '../../src/errors.js';

const root = new URL('../../', import.meta.url);
const read = (name: string) => readFile(new URL(name, root), 'utf8');

it("the README's table of exit codes is the catalogue", async () => {
  const section = (await read('README.md')).split('## Exit codes')[1].split('\n## ')[0];
  const rows = [...section.matchAll(/^\| (\d+) \| (?:`(\w+)`)? ?\| (.+) \|$/gm)].map(([, exit, code, meaning]) => ({
    exit: Number(exit),
    code,
    meaning,
  }));
  const expected = Object.entries(catalogue).map(([code, { exit, meaning }]) => ({
    exit: exitCodes[exit],
    code,
    meaning,
  }));
  expect(rows.filter(({ code }) => code && code !== 'BUG')).toEqual(expected.sort((a, b) => a.exit - b.exit));
  expect(rows.map(({ exit }) => exit)).toContain(exitCodes.ok);
  expect(rows.find(({ code }) => code === 'BUG')?.exit).toBe(exitCodes.bug);
});

it("the README's table of options names every option of the main command", async () => {
  const section = (await read('README.md')).split('## Options')[1].split('\n## ')[0];
  const named = new Set(section.match(/--[a-z][a-z-]*/g));
  const silent = { write: () => {} };
  const options = createProgram({ out: silent, err: silent }).options.map((o) => o.long!);
  expect(options.filter((o) => o !== '--version' && !named.has(o))).toEqual([]);
  expect([...named].filter((o) => !options.includes(o))).toEqual([]);
});

it('the README names every dependency', async () => {
  const { dependencies, devDependencies, peerDependencies } = JSON.parse(await read('package.json'));
  const section = (await read('README.md')).split('## Dependencies')[1].split('\n## ')[0];
  const all = Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies });
  const unnamed = all.filter((name) => !section.includes(`\`${name}\``) && !name.startsWith('@types/'));
  expect(unnamed).toEqual([]);
});

it('every dependency runs on the oldest Node that the package promises', async () => {
  const { engines, dependencies, devDependencies } = JSON.parse(await read('package.json'));
  expect(engines.node).toBe('>=20.19.0');
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    const { engines: own = {} } = JSON.parse(await read(`node_modules/${name}/package.json`));
    // A range takes Node 20 where one of its alternatives begins at 20 or below, or allows all of 20.
    const range: string = own.node ?? '*';
    const takes = range
      .split('||')
      .some((part) => /^\D*(\d+)/.exec(part.trim()) === null || Number(/(\d+)/.exec(part)![1]) <= 20);
    expect({ name, range, takes }).toEqual({ name, range, takes: true });
  }
});

it('the package holds what was built, the README and the licence, and nothing else', async () => {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { stdout } = await promisify(execFile)(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    shell: process.platform === 'win32',
  });
  const files: string[] = JSON.parse(stdout)[0].files.map((f: { path: string }) => f.path);
  const outside = files.filter(
    (path) => !/^(dist\/(src|cli|models)\/.*\.(js|d\.ts)|package\.json|README\.md|LICENSE)$/.test(path),
  );
  expect(outside).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE']));
});
