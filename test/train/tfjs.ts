import { loadTfjs } from '../../src/runtime/tfjs.js';

/** @returns why the tfjs engine cannot be tried here, or undefined. */
export function tfjsReason(): string | undefined {
  if (!process.env.CGES_TFJS_DIR) return 'CGES_TFJS_DIR names no folder with a tfjs-node';
  try {
    loadTfjs();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
