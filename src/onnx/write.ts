import type { ModelProto } from './proto.js';
import { encodeMessage } from './schema.js';

/** @returns the model as the bytes of an ONNX file; tensors with external data keep their references. */
export function encodeModel(model: ModelProto): Uint8Array {
  return encodeMessage(model);
}
