import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Machine, type Ran, run } from '../../src/doctor/machine.js';

/** A computer made of files below a temporary folder and of the answers of some programs. */
export interface Made {
  readonly files?: Readonly<Record<string, string>>;
  /** What programs print. */
  readonly programs?: Readonly<Record<string, string>>;
  readonly env?: NodeJS.ProcessEnv;
  readonly platform?: NodeJS.Platform;
  readonly arch?: string;
  readonly node?: string;
  /** JavaScript that is onnxruntime-node there; none: it is not installed. */
  readonly onnxruntime?: string;
}

export async function onMachine<T>(made: Made, test: (machine: Machine) => T | Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'cges-doctor-'));
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    return join(root, path);
  };
  try {
    for (const [path, text] of Object.entries(made.files ?? {})) put(path, text);
    let onnxruntime: string | undefined;
    if (made.onnxruntime !== undefined) {
      put('/ort/package.json', '{ "version": "1.2.3" }');
      onnxruntime = put('/ort/dist/index.js', made.onnxruntime);
    }
    const { platform = 'linux', arch = 'x64', node = '20.20.0', env = {} } = made;
    const answer = async (program: string, args: readonly string[], seconds: number): Promise<Ran> => {
      if (program === process.execPath) return run(program, args, seconds, { PATH: '' });
      const out = made.programs?.[program];
      return out === undefined
        ? { ok: false, out: '', err: '', why: `there is no ${program}` }
        : { ok: true, out, err: '' };
    };
    return await test({ platform, arch, node, env, home: '/home/me', root, onnxruntime, run: answer });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A device on the PCI bus: its class, vendor and number. */
export function pci(vendor: string, kind = '0x030000', slot = '0000:01:00.0'): Record<string, string> {
  const folder = `/sys/bus/pci/devices/${slot}`;
  return { [`${folder}/class`]: `${kind}\n`, [`${folder}/vendor`]: `${vendor}\n`, [`${folder}/device`]: '0x1234\n' };
}

/** A file that names a driver of Vulkan. */
export function icd(library: string, more: object = {}): string {
  return JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library, api_version: '1.3', ...more } });
}

/** Source of an onnxruntime-node whose sessions run `body`; it has `provider`, and answers with a tensor's elements. */
export function runtime(body: string, backends = ['cpu', 'webgpu', 'cuda']): string {
  return `
    exports.listSupportedBackends = () => ${JSON.stringify(backends)}.map((name) => ({ name, bundled: name !== 'cuda' }));
    exports.Tensor = class { constructor(type, data) { this.data = data; } };
    exports.InferenceSession = {
      async create(model, { executionProviders: [provider] }) {
        return { run: async () => ({ y: { data: await (async () => { ${body} })() } }) };
      },
    };`;
}
