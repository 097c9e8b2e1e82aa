export { checkGradients, type GradientCheck, type GradientReport } from './checkGradients.js';
export { type Comparison, compare } from './compare.js';
export { compress } from './compress.js';
export { doctor, type DoctorOptions } from './doctor.js';
export type {
  DeviceFacts,
  DevicesFacts,
  Diagnosis,
  DriverFacts,
  Finding,
  GraphicsFacts,
  LibrariesFacts,
  LibraryFacts,
  NodeFacts,
  NvidiaFacts,
  OnnxruntimeFacts,
  ProviderFacts,
  State,
  TfjsFacts,
  TrainingFacts,
  VulkanDriverFacts,
} from './doctor/diagnosis.js';
export { CgesError, catalogue, type ErrorCode, exitCodes, type Place } from './errors.js';
export { inspect } from './inspect.js';
export type * from './onnx/proto.js';
export { decodeModel, type OnnxFile, readModel } from './onnx/read.js';
export { encodeModel, type WriteOptions, type Written, writeModel } from './onnx/write.js';
export type {
  AugmentName,
  CallOptions,
  CheckGradientsOptions,
  CompareOptions,
  CompressOptions,
  DataOptions,
  GroupingName,
  InputShapes,
  InspectOptions,
  LayoutName,
  LossName,
  EngineName,
  OptimizerName,
  PrecisionName,
  RegularizerName,
  RunOptions,
  StripOptions,
} from './options.js';
export type {
  ChoiceEvent,
  CompressEvent,
  MetricEvent,
  MetricName,
  OnEvent,
  Phase,
  PhaseEvent,
  ProgressEvent,
  WarningEvent,
} from './report/events.js';
export type {
  AxisFacts,
  FamilyFacts,
  Inspection,
  PinnedFacts,
  PortFacts,
  WeightAxisFacts,
} from './report/inspection.js';
export { inspectionPage } from './report/inspectionPage.js';
export {
  type Choice,
  type DataFacts,
  type Drift,
  type FileFacts,
  type Latency,
  type LayerCut,
  type Metric,
  type ModelFacts,
  type PreprocessingFacts,
  type ProofFacts,
  REPORT_SCHEMA_VERSION,
  type Report,
  type RunFacts,
  type ZeroedFacts,
} from './report/schema.js';
export type { ConcreteProvider, Provider } from './runtime/providers.js';
export { strip } from './strip.js';
export type { LayerCost } from './validate/macs.js';
