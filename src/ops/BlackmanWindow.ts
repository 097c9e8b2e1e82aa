import { signalWindow } from './signalWindow.js';

export const BlackmanWindow = signalWindow('BlackmanWindow');
