import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../../src/onnx/make.js';
import { encodeModel } from '../../src/onnx/write.js';

const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * Makes a software adapter known to onnxruntime where Chromium's is installed.
 * @returns why webgpu cannot be tested here, or undefined when it can. A session is tried in a process of its own: a
 * broken driver may end the process that asks.
 */
export async function webgpuReason(): Promise<string | undefined> {
  if (!process.env.VK_ICD_FILENAMES && existsSync(swiftShader)) {
    process.env.VK_ICD_FILENAMES = swiftShader;
    process.env.XDG_RUNTIME_DIR ??= '/tmp';
  }
  const graph = makeGraph({
    node: [makeNode('Add', ['x', 'x'], ['y'])],
    input: [makeValueInfo('x', 'float32', [1])],
    output: [makeValueInfo('y', 'float32', [1])],
  });
  const encoded = Buffer.from(encodeModel(makeModel(graph, 18))).toString('base64');
  const script = `
    const { InferenceSession } = require('onnxruntime-node');
    const bytes = Buffer.from('${encoded}', 'base64');
    InferenceSession.create(bytes, { executionProviders: ['webgpu'], logSeverityLevel: 4 }).then(() => process.exit(0), (e) => { console.error(e.message); process.exit(1); });
  `;
  try {
    await promisify(execFile)(process.execPath, ['-e', script], { timeout: 60_000 });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return `no webgpu adapter: ${(stderr || message).trim().split('\n')[0].slice(0, 120)}`;
  }
}
