import { tensorOf } from '../../../onnx/tensors.js';
import { float32, int64, sizeOf, type Tensor } from '../../../tensor/tensor.js';
import { elementsOf } from '../device.js';
import { type Kernel, type Kernels, lacks, type PlannedNode } from '../kernel.js';
import type { Planner } from '../planner.js';

/** What follows from shapes and attributes alone. */

function fixed(tensor: (p: Planner, node: PlannedNode) => Tensor): Kernel {
  return (p, node) => {
    const made = tensor(p, node);
    p.give(node.outputs[0], p.constant(made.dims, elementsOf(made)));
  };
}

function constant(_: Planner, { attrs }: PlannedNode): Tensor {
  const proto = attrs.tensor('value');
  if (proto) return tensorOf(proto);
  const [ints, floats] = [attrs.ints('value_ints'), attrs.floats('value_floats')];
  if (ints) return int64([ints.length], ints);
  if (floats) return float32([floats.length], floats);
  lacks(!attrs.has('value_int') && !attrs.has('value_float'), 'Constant of strings');
  return attrs.has('value_int') ? int64([], [attrs.int('value_int', 0)]) : float32([], [attrs.float('value_float', 0)]);
}

function range(p: Planner, { inputs, outputs }: PlannedNode): Tensor {
  const [start, , step] = inputs.map((name) => p.numbers(name)![0]);
  const { shape, dtype } = p.type(outputs[0]);
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => start + i * step);
  return dtype.startsWith('int') ? int64(shape, values) : float32(shape, values);
}

function eye(p: Planner, { outputs, attrs }: PlannedNode): Tensor {
  const { shape, dtype } = p.type(outputs[0]);
  const [rows, columns] = shape;
  const k = attrs.int('k', 0);
  const values = Array.from({ length: rows * columns }, (_, i) => {
    return (i % columns) - Math.floor(i / columns) === k ? 1 : 0;
  });
  return dtype.startsWith('int') ? int64(shape, values) : float32(shape, values);
}

export const constantKernels: Kernels = {
  Constant: fixed(constant),
  Range: fixed(range),
  EyeLike: fixed(eye),
  Shape: fixed((p, { inputs, attrs }) => {
    const shape = p.shape(inputs[0]).slice(attrs.int('start', 0), attrs.int('end'));
    return int64([shape.length], shape);
  }),
  Size: fixed((p, { inputs }) => int64([], [sizeOf(p.shape(inputs[0]))])),
};
