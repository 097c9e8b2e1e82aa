import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device } from './device.js';
import { GraphWriter, type Ref, Scope, writeProgram } from './graphDef.js';
import type { PlannedStep } from './plan.js';
import { encodeSavedModel } from './savedModel.js';

/** A step as one graph, which TensorFlow runs whole; the state lies in its variables. */
export class StepSession {
  private constructor(
    private readonly device: Device,
    private readonly session: number,
    private readonly refs: {
      readonly feeds: readonly Ref[];
      /** Metrics, and that the state was replaced. */
      readonly results: readonly Ref[];
      readonly state: readonly Ref[];
    },
  ) {}

  /** @param initial handles of the state, in the order of memory that the plan says; they stay the caller's */
  static open(device: Device, { program, state, constants }: PlannedStep, initial: readonly number[]): StepSession {
    const g = new GraphWriter(device);
    const scope = new Scope((slot) => g.constant(slot));
    const [given, fed] = [program.inputs.slice(0, state.length), program.inputs.slice(state.length)];
    const variables = given.map((slot) => {
      const variable = g.variable(slot);
      scope.set(slot, variable.value);
      return variable;
    });
    const feeds = fed.map((slot) => {
      const ref = g.placeholder(slot);
      scope.set(slot, ref);
      return ref;
    });
    writeProgram(g, program, scope);
    const results = program.outputs.map((slot) => scope.ref(slot));
    const assigned = variables.map((variable, i) => g.assign(variable, results[i]));
    const done = g.after(assigned);

    const fillings = [...variables, ...g.held.map((h) => h.variable)].map((variable) => {
      const value = g.placeholder(variable);
      // A copy: what a handle holds may be JavaScript's memory, which must not be freed by a thread of TensorFlow.
      const copy = g.node('DeepCopy', [value], { T: { type: variable.kind } });
      return { value, done: g.assign(variable, copy) };
    });
    const filled = g.after(fillings.map((f) => f.done));
    const session = load(device, g);
    const handles = [...initial, ...g.held.map((h) => h.slot.constant!)];
    const values = fillings.map((f) => f.value);
    for (const id of device.runSession(session, values, handles, [filled])) device.free(id);
    for (const id of constants) device.free(id);
    return new StepSession(device, session, {
      feeds,
      results: [...results.slice(state.length), done],
      state: variables.map((v) => v.value),
    });
  }

  /** Runs one step. @returns handles of the metrics, which are the caller's */
  run(feeds: readonly number[]): number[] {
    const made = this.device.runSession(this.session, this.refs.feeds, feeds, this.refs.results);
    this.device.free(made.pop()!);
    return made;
  }

  /** @returns handles of the state, which are the caller's */
  state(): number[] {
    return this.device.runSession(this.session, [], [], this.refs.state);
  }

  close(): void {
    this.device.closeSession(this.session);
  }
}

/** TensorFlow reads graphs from folders only. */
function load(device: Device, { nodes }: GraphWriter): number {
  const folder = mkdtempSync(join(tmpdir(), 'cges-compress-step-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), encodeSavedModel(nodes));
    return device.openSession(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
