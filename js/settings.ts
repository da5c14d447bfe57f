import type { ZegoLogConfig } from '../ZegoExpressDefines';
import type { NativeConfig, NativeLogConfig } from './generated/native';

/** `advancedConfig` name; `false` or `off` makes canvases draw in step with the page's own rendering. */
const DESYNCHRONIZED = 'canvas_desynchronized';
/** `advancedConfig` name; it makes mistakes exceptions in place of events and codes. */
const STRICT = 'strict_mode';
const OFF = ['false', 'off', '0'];

/** Settings for the next engine. */
export class Settings {
  log: NativeLogConfig = {};
  multiRoom = false;
  private advanced: Record<string, string> = {};

  /** Adds to `advancedConfig`. The native part expects lower-case names and text values. */
  setAdvanced(advanced: Record<string, string | number | boolean>): void {
    for (const [name, value] of Object.entries(advanced)) this.advanced[name.toLowerCase()] = String(value);
  }

  setLog({ logPath, logSize, logCount }: ZegoLogConfig): void {
    this.log = {
      ...(typeof logPath === 'string' ? { logPath } : {}),
      ...(typeof logSize === 'number' ? { logSize } : {}),
      ...(typeof logCount === 'number' ? { logCount } : {}),
    };
  }

  get desynchronized(): boolean {
    return !OFF.includes(this.advanced[DESYNCHRONIZED] ?? '');
  }

  get isStrict(): boolean {
    return !OFF.includes(this.advanced[STRICT] ?? 'off');
  }

  forNative(): NativeConfig {
    const hasLog = Object.keys(this.log).length > 0;
    const { multiRoom } = this;
    return { advancedConfig: { ...this.advanced }, multiRoom, ...(hasLog ? { logConfig: this.log } : {}) };
  }
}
