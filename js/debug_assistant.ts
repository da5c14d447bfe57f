import type { Reporter } from './reporter';

/** Events that are too frequent to print. */
const FREQUENT = /Quality|SoundLevel|Spectrum|VideoData|AudioData|RecvSEI|Progress|VADState|OnlineUserCount/;

/** Prints mistakes and events on the console while it is enabled. */
export class DebugAssistant {
  constructor(private readonly reporter: Reporter) {}

  enableDebugAssistant(enable: boolean): void {
    this.reporter.debugAssistant = enable;
  }

  printEvent(name: string, payload: unknown): void {
    if (this.reporter.debugAssistant && !FREQUENT.test(name)) console.log(name, payload);
  }
}
