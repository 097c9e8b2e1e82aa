import type { NodeProto } from '../../onnx/proto.js';
import type { Kernel, Kernels } from './kernel.js';
import { constantKernels } from './kernels/constants.js';
import { controlKernels } from './kernels/control.js';
import { convolutionKernels } from './kernels/convolutions.js';
import { elementwiseKernels } from './kernels/elementwise.js';
import { indexingKernels } from './kernels/indexing.js';
import { normKernels } from './kernels/norms.js';
import { poolKernels } from './kernels/pools.js';
import { productKernels } from './kernels/products.js';
import { recurrentKernels } from './kernels/recurrent.js';
import { reductionKernels } from './kernels/reductions.js';
import { resizeKernels } from './kernels/resize.js';
import { shapeKernels } from './kernels/shapes.js';

/** Kernels by the operator's name, with its domain in front where that is not ONNX's own. */
export function kernels(): Kernels {
  return {
    ...constantKernels,
    ...elementwiseKernels,
    ...reductionKernels,
    ...shapeKernels,
    ...productKernels,
    ...convolutionKernels,
    ...poolKernels,
    ...normKernels,
    ...indexingKernels,
    ...resizeKernels,
    ...recurrentKernels,
    ...controlKernels,
  };
}

let table: Kernels | undefined;

export function kernelOf({ opType, domain }: NodeProto): Kernel | undefined {
  table ??= kernels();
  const name = domain && domain !== 'ai.onnx' ? `${domain}.${opType}` : opType;
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
