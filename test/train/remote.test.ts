import { expect, it } from 'vitest';
import type { Load } from '../../src/train/loads.js';
import { type Line, openRemote, type Reply, type Request } from '../../src/train/remote.js';

const load = { how: 'loop', step: {}, options: { provider: 'cuda', threads: 1 } } as unknown as Load;
const where = { engine: 'onnxruntime', provider: 'cuda', threads: 1 };

/** A line whose other side is written by the test. */
function scripted(answer: (request: Request, say: Side) => void): Line & { ended: boolean } {
  let reply: (reply: Reply) => void = () => {};
  let ended: (why: string) => void = () => {};
  const line = {
    ended: false,
    post: (request: Request) =>
      queueMicrotask(() => answer(request, { reply: (r) => reply(r as Reply), end: (why) => ended(why) })),
    onReply: (listener: typeof reply) => {
      reply = listener;
    },
    onEnd: (listener: typeof ended) => {
      ended = listener;
    },
    async end() {
      line.ended = true;
    },
  };
  return line;
}

interface Side {
  reply(reply: object): void;
  end(why: string): void;
}

const PATIENCE = { first: 5, again: 0.05 };

/** Answers everything but the second run, which `lose` sees. */
function losing(lose: (id: number, side: Side) => void): Line & { ended: boolean } {
  let runs = 0;
  return scripted((request, side) => {
    if (request.ask === 'run' && ++runs > 1) return lose(request.id, side);
    side.reply({ id: request.id, answer: request.ask === 'load' ? where : {} });
  });
}

it.each([
  ['its process ends', (_: number, side: Side) => side.end('its process was ended by SIGKILL'), /ended by SIGKILL/],
  ['it does not answer', () => {}, /no answer/],
  [
    'a run fails',
    (id: number, side: Side) => side.reply({ id, error: { message: 'Device lost' } }),
    /cuda was lost .* Device lost/,
  ],
] as const)('a device is lost when %s', async (_, lose, message) => {
  const line = losing(lose);
  const run = await openRemote(line, load, new Map(), PATIENCE);
  await run.run({});
  await expect(run.run({})).rejects.toMatchObject({ code: 'DEVICE_LOST', message: expect.stringMatching(message) });
  await run.close();
  expect(line.ended).toBe(true);
});

it('what is asked after the end is answered by an error, not by silence', async () => {
  let side: Side | undefined;
  const line = scripted((request, s) => {
    side = s;
    s.reply({ id: request.id, answer: where });
  });
  const run = await openRemote(line, load, new Map(), PATIENCE);
  await run.run({});
  side!.end('its process ended (code 1)');
  await expect(run.state()).rejects.toMatchObject({ code: 'DEVICE_LOST' });
});

it('a step that never ran is no lost device', async () => {
  const line = scripted((request, side) => {
    if (request.ask === 'load') side.reply({ id: request.id, answer: where });
    else side.reply({ id: request.id, error: { message: 'no kernel for Foo' } });
  });
  const run = await openRemote(line, load, new Map(), PATIENCE);
  await expect(run.run({})).rejects.toMatchObject({
    code: 'PROVIDER_UNAVAILABLE',
    message: expect.stringMatching(/Foo/),
  });
});
