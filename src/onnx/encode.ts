import protobuf from 'protobufjs';
import type { GraphProto, ModelProto, TensorProto } from './proto.js';
import { messageType } from './schema.js';

const modelType = messageType('ModelProto');
const graphType = messageType('GraphProto');
const tensorType = messageType('TensorProto');

/** From here on a stretch of bytes is passed on as it is, not copied. */
const LARGE = 2 ** 16;

/**
 * @returns the bytes of an ONNX file in pieces, fields in the order of their numbers as protoc's own writers have them.
 * Large weights of the main graph are the caller's own bytes, so that writing a model needs no second one in memory.
 */
export function encodeChunks(model: ModelProto): Uint8Array[] {
  return join(around(modelType, model, 'graph', () => delimited(modelType, 'graph', encodeGraph(model.graph))));
}

function encodeGraph(graph: GraphProto): Uint8Array[] {
  return around(graphType, graph, 'initializer', () =>
    graph.initializer.flatMap((tensor) => delimited(graphType, 'initializer', encodeTensor(tensor))),
  );
}

function encodeTensor(tensor: TensorProto): Uint8Array[] {
  const { rawData } = tensor;
  if (!rawData || rawData.length < LARGE) return [encodeFields(tensorType, tensor, () => true, true)];
  return around(tensorType, tensor, 'rawData', () => delimited(tensorType, 'rawData', [rawData]));
}

/** A message with one field written by `middle`, between the fields before and those after it. */
function around(type: protobuf.Type, message: object, field: string, middle: () => Uint8Array[]): Uint8Array[] {
  const { id } = type.fields[field];
  const has = Object.hasOwn(message, field) && Reflect.get(message, field) !== undefined;
  const before = encodeFields(type, message, (other) => other < id);
  const after = encodeFields(type, message, (other) => other > id, true);
  return [before, ...(has ? middle() : []), after];
}

function encodeFields(
  type: protobuf.Type,
  message: object,
  wanted: (id: number) => boolean,
  unknowns = false,
): Uint8Array {
  const part: Record<string, unknown> = {};
  for (const { name, id } of type.fieldsArray) {
    if (wanted(id) && Object.hasOwn(message, name)) part[name] = Reflect.get(message, name);
  }
  if (unknowns && Object.hasOwn(message, '$unknowns')) part.$unknowns = Reflect.get(message, '$unknowns');
  return type.encode(part).finish();
}

/** Tag and length before the contents of a field. */
function delimited(type: protobuf.Type, field: string, contents: readonly Uint8Array[]): Uint8Array[] {
  const length = contents.reduce((sum, chunk) => sum + chunk.length, 0);
  // Above 2 GiB the length has no place in the format: what is written then is refused by its size.
  const head = protobuf.Writer.create()
    .uint32((type.fields[field].id << 3) | 2)
    .uint32(length);
  return [head.finish(), ...contents];
}

/** Joins neighbours that are small. */
function join(chunks: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  const flush = () => {
    if (small.length > 0) joined.push(Buffer.concat(small));
    small = [];
  };
  for (const chunk of chunks) {
    if (chunk.length < LARGE) small.push(chunk);
    else {
      flush();
      joined.push(chunk);
    }
  }
  flush();
  return joined;
}
