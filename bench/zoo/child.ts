import { distillOne } from './distillOne.js';
import { gradientsOne } from './gradientsOne.js';
import type { Result, Task } from './result.js';
import { stripOne } from './stripOne.js';

/* One model in a process of its own: what it took is free when it is done, and what brings it down hits nothing else. */

const modes = { strip: stripOne, gradients: gradientsOne, distill: distillOne };

process.once('message', async (task: Task) => {
  let result: Result;
  try {
    result = await modes[task.mode](task);
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    result = { outcome: 'CRASH', why: message, details: { stack } };
  }
  process.send!(result, () => process.exit(0));
});
