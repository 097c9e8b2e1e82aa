import { CgesError, hasCode } from '../errors.js';
import type { OnnxFile } from '../onnx/read.js';
import type { Analysis } from '../shape/analyse.js';
import { type Network, type NetworkOptions, openNetwork } from '../train/network.js';
import { batchSource } from '../train/source.js';
import type { Teacher } from '../train/teacher.js';
import { type Trial, tryStep } from '../train/trial.js';
import type { Job } from './job.js';

/**
 * Opens a network where the job trains: on a device, or by TensorFlow.js, only once a step of this very network has come
 * out there as on onnxruntime's cpu. What does not, trains there from then on, and that is said; so does what is slower,
 * where the choice is ours.
 *
 * **Throws** PROVIDER_UNAVAILABLE when the place was asked for and the first network fails there.
 */
export async function openPlaced(
  job: Job,
  file: OnnxFile,
  analysis: Analysis,
  options: Pick<NetworkOptions, 'optimizer' | 'state' | 'sparsity' | 'distillation'>,
  teacher?: Teacher,
): Promise<Network> {
  const open = () =>
    openNetwork(file, analysis, { ...job.network, ...precisionOn(job), ...job.place.now(), ...options });
  const { place } = job;
  if (place.isHome) return open();
  const first = !place.proved;
  const { complaint, speed } = await trialOf(job, file, analysis, options, !place.asked && first, teacher);
  if (complaint === undefined) place.prove(speed);
  else if (place.asked && first) {
    throw new CgesError(
      'PROVIDER_UNAVAILABLE',
      `${place.name} computes the training step of this model wrongly: ${complaint}`,
      { hint: `train elsewhere: ${place.wayHome}` },
    );
  } else place.leave(`${place.name} computes the training step wrongly: ${complaint}`);
  return open();
}

/** Half precision is for devices. */
function precisionOn({ network, place }: Job): Pick<NetworkOptions, 'precision'> {
  return { precision: place.now().provider === 'cpu' ? 'fp32' : network.precision };
}

async function trialOf(
  job: Job,
  file: OnnxFile,
  analysis: Analysis,
  options: Pick<NetworkOptions, 'optimizer' | 'state' | 'sparsity' | 'distillation'>,
  timed: boolean,
  teacher: Teacher | undefined,
): Promise<Trial> {
  try {
    return await tryStep(
      file,
      analysis,
      { ...job.network, ...job.place.now(), ...options },
      async (step) => {
        const source = batchSource(step, { ...job.sourceOptions, augment: 'none', teacher });
        const chunk = await source.chunk(0, 0, 1);
        return source.complete ? source.complete(chunk, 0, 0, 1) : chunk;
      },
      timed,
    );
  } catch (error) {
    const lost = hasCode(error, 'PROVIDER_UNAVAILABLE') || hasCode(error, 'DEVICE_LOST');
    if (!lost || (job.place.asked && !job.place.proved)) throw error;
    return { complaint: error.message };
  }
}
