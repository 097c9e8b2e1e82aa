import { signalWindow } from './signalWindow.js';

export const HammingWindow = signalWindow('HammingWindow');
