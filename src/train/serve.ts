import { CgesError } from '../errors.js';
import type { TrainingRun } from './engine.js';
import { openHere } from './loads.js';
import type { Reply, Request, Where } from './remote.js';

/** The other side of a line: owns one training run and answers one request at a time. */
export function serve(send: (reply: Reply) => void): (request: Request) => Promise<void> {
  let run: TrainingRun | undefined;
  const answer = async (request: Request): Promise<unknown> => {
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
  };
  return async (request) => {
    try {
      send({ id: request.id, answer: await answer(request) });
    } catch (error) {
      const { message } = error as Error;
      const known = error instanceof CgesError ? { code: error.code, hint: error.hint } : {};
      send({ id: request.id, error: { message, ...known } });
    }
  };
}
