import { signalWindow } from './signalWindow.js';

export const HannWindow = signalWindow('HannWindow');
