import { InferenceSession, type Tensor as OrtTensor } from 'onnxruntime-node';
import { CgesError } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';
import type { ConcreteProvider } from './providers.js';
import { fromOrt, toOrt } from './session.js';

/** A value that may lie on the device. */
export type DeviceValue = OrtTensor;

/** A session some of whose outputs stay on the device, to be fed back as inputs. */
export interface ResidentSession {
  upload(tensor: Tensor): DeviceValue;
  run(inputs: ReadonlyMap<string, DeviceValue>): Promise<Map<string, DeviceValue>>;
  /** @returns the contents of a value that lies in main memory. */
  read(value: DeviceValue): Tensor;
  close(): Promise<void>;
}

/**
 * Opens a model whose `resident` outputs stay where the provider computes them.
 * Values of the device are read through the outputs of a second session: `getData()` aborts the process in
 * onnxruntime-node 1.30.
 * **Throws** PROVIDER_UNAVAILABLE when the provider does not take the model.
 */
export async function openResident(
  model: Uint8Array,
  provider: ConcreteProvider,
  resident: readonly string[],
): Promise<ResidentSession> {
  const location = provider === 'webgpu' ? 'gpu-buffer' : 'cpu';
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(model, {
      executionProviders: [provider],
      logSeverityLevel: 4,
      preferredOutputLocation: Object.fromEntries(resident.map((name) => [name, location])),
    });
  } catch (cause) {
    throw new CgesError(
      'PROVIDER_UNAVAILABLE',
      `${provider} cannot load the training step: ${(cause as Error).message}`,
      {
        hint: 'run with --provider cpu',
        cause,
      },
    );
  }
  return {
    upload: (tensor) => toOrt(tensor),
    async run(inputs) {
      const results = await session.run(Object.fromEntries(inputs));
      return new Map(session.outputNames.map((name) => [name, results[name] as OrtTensor]));
    },
    read: (value) => fromOrt(value),
    close: () => session.release(),
  };
}
