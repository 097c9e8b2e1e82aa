import type { OnnxFile } from '../onnx/read.js';
import { hashOf } from '../onnx/stored.js';
import { bytesOf } from '../validate/measure.js';
import type { FileFacts } from './schema.js';

/** @returns what identifies a model file in a report. */
export function fileFacts(file: OnnxFile): FileFacts {
  return {
    path: file.path,
    bytes: bytesOf(file),
    sha256: hashOf(file).digest('hex'),
  };
}
