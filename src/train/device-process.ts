import type { Request } from './remote.js';
import { serve } from './serve.js';

const answer = serve((reply) => process.send!(reply));
process.on('message', (request: Request) => void answer(request));
process.on('disconnect', () => process.exit());
// Ctrl-C reaches the whole group: the job decides when this process ends.
process.on('SIGINT', () => undefined);
