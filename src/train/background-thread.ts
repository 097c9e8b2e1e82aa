import { parentPort } from 'node:worker_threads';
import type { Request } from './remote.js';
import { serve } from './serve.js';

const answer = serve((reply) => parentPort!.postMessage(reply));
parentPort!.on('message', (request: Request) => void answer(request));
