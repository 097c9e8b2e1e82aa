// Packs the bench with Node itself into one folder and one archive, for a machine without Node and without a network.
// Usage: node bench/gpu/pack.mjs [--out FOLDER] [--tfjs FOLDER]   (see README.md beside this file)

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const { values } = parseArgs({
  options: { out: { type: 'string', default: 'out/gpu-bench' }, tfjs: { type: 'string' } },
});
const out = resolve(values.out);
const run = (command, args) =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

run('npm', ['run', '--silent', 'build']);
rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'bench'), { recursive: true });
copyFileSync(process.execPath, join(out, 'node'));
chmodSync(join(out, 'node'), 0o755);
for (const name of ['package.json', 'dist', 'bench/torch_step.py'])
  cpSync(join(root, name), join(out, name), { recursive: true });
for (const name of ['run.sh', 'README.md']) copyFileSync(join(here, name), join(out, name));
chmodSync(join(out, 'run.sh'), 0o755);
packModules();
const providers = pruneOnnxruntime();
if (values.tfjs) packTfjs(resolve(values.tfjs));

const archive = `${out}.tar.gz`;
run('tar', ['-C', dirname(out), '-czf', archive, relative(dirname(out), out)]);
console.log(
  `${archive}\nthe CUDA provider of onnxruntime ${providers ? 'is packed' : 'is not installed here, so it is not packed'}`,
);

/** Copies what the package depends on, and nothing that only its development needs. */
function packModules() {
  const listed = run('npm', ['ls', '--omit=dev', '--all', '--parseable']).trim().split('\n');
  for (const folder of listed.filter((path) => path.includes('node_modules'))) {
    if (existsSync(folder))
      cpSync(folder, join(out, relative(root, folder)), {
        recursive: true,
        filter: (path) => !path.includes('/.bin/'),
      });
  }
}

/** Drops the libraries of other platforms. @returns whether the CUDA provider is among those that stay */
function pruneOnnxruntime() {
  const bin = join(out, 'node_modules/onnxruntime-node/bin');
  let cuda = false;
  for (const napi of readdirSync(bin)) {
    for (const platform of readdirSync(join(bin, napi))) {
      for (const arch of readdirSync(join(bin, napi, platform))) {
        const folder = join(bin, napi, platform, arch);
        if (platform !== process.platform || arch !== process.arch) rmSync(folder, { recursive: true });
        else cuda ||= readdirSync(folder).some((file) => file.includes('providers_cuda'));
      }
    }
  }
  return cuda;
}

/** @param folder in whose node_modules tfjs-node or tfjs-node-gpu is installed */
function packTfjs(folder) {
  cpSync(join(folder, 'node_modules'), join(out, 'tfjs/node_modules'), { recursive: true, verbatimSymlinks: true });
}
