import protobuf from 'protobufjs';
import { type Elements, isList, type Kind, type OpAttributes, SAVED_MODEL_TAG, typeCodes } from './device.js';

/*
 * TensorFlow's SavedModel, as far as a graph without functions needs it. Source: tensorflow/core/protobuf/saved_model.proto,
 * meta_graph.proto and tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto, tensor.proto.
 */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message SavedModel { int64 saved_model_schema_version = 1; repeated MetaGraphDef meta_graphs = 2; }
  message MetaGraphDef { MetaInfoDef meta_info_def = 1; GraphDef graph_def = 2; }
  message MetaInfoDef { repeated string tags = 4; }
  message GraphDef { repeated NodeDef node = 1; VersionDef versions = 4; }
  message VersionDef { int32 producer = 1; int32 min_consumer = 2; }
  message NodeDef {
    string name = 1; string op = 2; repeated string input = 3; string device = 4; map<string, AttrValue> attr = 5;
  }
  message AttrValue {
    oneof value {
      ListValue list = 1; bytes s = 2; int64 i = 3; float f = 4; bool b = 5; int32 type = 6; TensorShapeProto shape = 7;
      TensorProto tensor = 8;
    }
  }
  message ListValue { repeated int64 i = 3; }
  message TensorShapeProto { repeated Dim dim = 2; }
  message Dim { int64 size = 1; }
  message TensorProto { int32 dtype = 1; TensorShapeProto tensor_shape = 2; bytes tensor_content = 4; }
`);

export type AttrValue = object;

export interface NodeDef {
  readonly name: string;
  readonly op: string;
  /** `name` or `name:output`; `^name` waits for a node. */
  readonly input: string[];
  readonly attr: Readonly<Record<string, AttrValue>>;
}

/** TensorFlow adds attributes that are left out and have a default; types have to be said. */
export function attrValues(of: OpAttributes): Record<string, AttrValue> {
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, attrValue(value)]));
}

function attrValue(value: OpAttributes[string]): AttrValue {
  if (typeof value === 'string') return { s: Buffer.from(value) };
  if (typeof value === 'boolean') return { b: value };
  if (typeof value === 'number') return { i: value };
  if (isList(value)) return { list: { i: value } };
  return 'float' in value ? { f: value.float } : { type: typeCodes[value.type] };
}

export function shapeValue(shape: readonly number[]): AttrValue {
  return { shape: shapeProto(shape) };
}

export function tensorValue(kind: Kind, shape: readonly number[], data: Elements): AttrValue {
  const content = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { tensor: { dtype: typeCodes[kind], tensorShape: shapeProto(shape), tensorContent: content } };
}

function shapeProto(shape: readonly number[]): object {
  return { dim: shape.map((size) => ({ size })) };
}

/** @returns the bytes of `saved_model.pb`. */
export function encodeSavedModel(nodes: readonly NodeDef[]): Uint8Array {
  const type = root.lookupType('SavedModel');
  // Graphs as TensorFlow 2.9 writes them, which is what tfjs-node 4 brings.
  const graphDef = { node: nodes, versions: { producer: 1087, minConsumer: 12 } };
  const metaGraphs = [{ metaInfoDef: { tags: [SAVED_MODEL_TAG] }, graphDef }];
  return type.encode(type.fromObject({ savedModelSchemaVersion: 1, metaGraphs })).finish();
}
