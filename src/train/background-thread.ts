import { parentPort } from 'node:worker_threads';
import { CgesError } from '../errors.js';
import { openHere, type Reply, type Request, type Where } from './background.js';
import type { TrainingRun } from './engine.js';

/** The thread behind `openInBackground`: owns one training run and answers one request at a time. */
let run: TrainingRun | undefined;

async function answer(request: Request): Promise<unknown> {
  switch (request.ask) {
    case 'load':
      run = await openHere(request.load, request.state);
      return { engine: run.engine, provider: run.provider, threads: run.threads } satisfies Where;
    case 'run':
      return run!.run(request.feeds);
    case 'state':
      return run!.state();
    case 'close':
      return run!.close();
  }
}

parentPort!.on('message', async (request: Request) => {
  let reply: Reply;
  try {
    reply = { id: request.id, answer: await answer(request) };
  } catch (error) {
    const { message } = error as Error;
    const known = error instanceof CgesError ? { code: error.code, hint: error.hint } : {};
    reply = { id: request.id, error: { message, ...known } };
  }
  parentPort!.postMessage(reply);
});
