import type { NativeConfig, NativeLogConfig } from './native';

export interface LogConfig {
  logPath?: string | null;
  logSize?: number | null;
  logCount?: number | null;
}

export interface EngineConfig {
  advancedConfig?: Record<string, string | number | boolean> | null;
  logConfig?: LogConfig | null;
}

/** `advancedConfig` name that says `false` or `off` to drawing past the page's own rendering. */
const DESYNCHRONIZED = 'canvas_desynchronized';

/** `advancedConfig` name that asks for exceptions where else an event or a code tells of a mistake. */
const STRICT = 'strict_mode';
const OFF = ['false', 'off', '0'];

/** What is set before `createEngine` and kept for it. */
export class EngineSettings {
  log: NativeLogConfig = {};
  multiRoom = false;
  private advanced: Record<string, string> = {};

  /** Names are lower case on the native side; values may be numbers and booleans. */
  setAdvanced(advanced: Record<string, string | number | boolean>): void {
    for (const [name, value] of Object.entries(advanced)) this.advanced[name.toLowerCase()] = String(value);
  }

  setLog({ logPath, logSize, logCount }: LogConfig): void {
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
