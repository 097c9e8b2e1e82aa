import { readFileSync } from 'node:fs';
import { CgesError } from '../errors.js';
import { makeGraph, makeModel, makeTensor } from '../onnx/make.js';
import { decodeMessage } from '../onnx/schema.js';
import { tensorOf } from '../onnx/tensors.js';
import { writeModel } from '../onnx/write.js';
import type { Tensor } from '../tensor/tensor.js';

/** Grows when a checkpoint of an older version can no longer be continued from. */
const VERSION = 1;
const KEY = 'cges-compress.checkpoint';

/** The whole state of a training run: weights, optimizer slots, statistics and masks, and where it stands. */
export interface Checkpoint<Position> {
  readonly state: ReadonlyMap<string, Tensor>;
  readonly position: Position;
}

/**
 * Writes a checkpoint atomically. The file is an ONNX model without nodes: tensors as initializers, the position as
 * JSON in the metadata, so that any viewer of ONNX files can open it.
 */
export async function saveCheckpoint<Position>(path: string, checkpoint: Checkpoint<Position>): Promise<void> {
  const graph = makeGraph({ node: [], initializer: [...checkpoint.state].map(([name, t]) => makeTensor(name, t)) });
  const model = makeModel(graph, 18);
  model.metadataProps = [{ key: KEY, value: JSON.stringify({ version: VERSION, position: checkpoint.position }) }];
  await writeModel(model, path);
}

/** @throws CgesError CHECKPOINT_INVALID when the file is damaged, of another version, or no checkpoint. */
export function loadCheckpoint<Position>(path: string): Checkpoint<Position> {
  try {
    const model = decodeMessage(readFileSync(path));
    const meta = model.metadataProps.find((p) => p.key === KEY);
    const { version, position } = JSON.parse(meta?.value ?? '{}') as { version?: number; position?: Position };
    if (version !== VERSION || position === undefined)
      throw new Error(`version ${version ?? 'none'}, expected ${VERSION}`);
    return { position, state: new Map(model.graph.initializer.map((t) => [t.name ?? '', tensorOf(t)])) };
  } catch (cause) {
    throw new CgesError(
      'CHECKPOINT_INVALID',
      `this is no checkpoint that can be continued: ${(cause as Error).message}`,
      {
        file: path,
        hint: 'delete it, or give another --checkpoint folder',
        cause,
      },
    );
  }
}
