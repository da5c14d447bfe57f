import type {
  ZegoAudioConfig,
  ZegoAudioConfigPreset,
  ZegoAudioSourceMixConfig,
  ZegoSoundLevelConfig,
} from '../ZegoExpressDefines';
import { ZegoError } from './errors';
import Defines = require('./generated/defines');
import ErrorCode = require('./generated/error_codes');
import type { NativeEngine } from './generated/native';
import type { Reporter } from './reporter';

const MAIN: number = Defines.ZegoPublishChannel.Main;
const { Mono, Stereo } = Defines.ZegoAudioChannel;
/** `ZegoAudioConfigPreset`: kbit/s and channels. */
const PRESETS: readonly (readonly [number, number])[] = [
  [16, Mono],
  [48, Mono],
  [56, Stereo],
  [128, Mono],
  [192, Stereo],
];
/** Supported `ZegoAudioSourceType`s, and whether each is the microphone. */
const SOURCES: ReadonlyMap<number, boolean> = new Map([
  [Defines.ZegoAudioSourceType.Default, true],
  [Defines.ZegoAudioSourceType.Microphone, true],
  [Defines.ZegoAudioSourceType.None, false],
]);
const DEFAULT_LEVEL_INTERVAL_MS = 100;
const DEFAULT_CONFIG: ZegoAudioConfig = { bitrate: 48, channel: Mono, codecID: Defines.ZegoAudioCodecID.Default };
/** Bitrates of Opus, in kbit/s. */
const [MIN_BITRATE, MAX_BITRATE] = [6, 510];

/** Whether a configuration asks for anything to be mixed in. */
const mixes = (config: ZegoAudioSourceMixConfig | null | undefined) =>
  Object.values(config ?? {}).some((value) => (Array.isArray(value) ? value.length > 0 : Boolean(value)));

/** A configuration from a preset. */
function fromPreset(preset: number): ZegoAudioConfig {
  const [bitrate, channel] = PRESETS[preset] ?? [];
  if (bitrate === undefined) throw new ZegoError(ErrorCode.CommonIllegalParam, `there is no preset ${preset}`);
  return { bitrate, channel: channel ?? Mono };
}

/** Configuration, source and level monitors of the published audio. */
export class Audio {
  /** Configuration of the main channel. */
  private config = DEFAULT_CONFIG;

  constructor(private readonly reporter: Reporter) {}

  setAudioConfig(native: NativeEngine, config: ZegoAudioConfigPreset | ZegoAudioConfig): void {
    this.setAudioConfigWithChannel(native, config, MAIN);
  }

  setAudioConfigWithChannel(
    native: NativeEngine,
    config: ZegoAudioConfigPreset | ZegoAudioConfig,
    channel: number,
  ): void {
    const given = Object.entries(typeof config === 'number' ? fromPreset(config) : config);
    const next: ZegoAudioConfig = {
      ...DEFAULT_CONFIG,
      ...Object.fromEntries(given.filter(([, value]) => typeof value === 'number')),
    };
    const bitrate = next.bitrate ?? 0;
    // The native part refuses bitrates out of range.
    native.setAudioConfig(bitrate, next.channel === Stereo, channel);
    if (channel === MAIN && bitrate >= MIN_BITRATE && bitrate <= MAX_BITRATE) this.config = next;
  }

  getAudioConfig(): ZegoAudioConfig {
    return { ...this.config };
  }

  setAudioSource(native: NativeEngine, source: number, channel: number): number {
    return this.setSource('setAudioSource', native, source, channel);
  }

  setAudioSourceWithConfig(native: NativeEngine, source: number, config?: ZegoAudioSourceMixConfig | null): number {
    return this.setSource('setAudioSourceWithConfig', native, source, MAIN, config);
  }

  startSoundLevelMonitor(native: NativeEngine, millisecond: number): void {
    native.startSoundLevelMonitor(millisecond, false);
  }

  startSoundLevelMonitorWithConfig(native: NativeEngine, config: ZegoSoundLevelConfig): void {
    native.startSoundLevelMonitor(config.millisecond ?? DEFAULT_LEVEL_INTERVAL_MS, config.enableVAD ?? false);
  }

  /** Restores the state of a new engine. */
  reset(): void {
    this.config = DEFAULT_CONFIG;
  }

  private setSource(
    method: string,
    native: NativeEngine,
    source: number,
    channel: number,
    config?: ZegoAudioSourceMixConfig | null,
  ): number {
    const isMicrophone = SOURCES.get(source);
    if (isMicrophone !== undefined && !mixes(config)) return native.setAudioSource(isMicrophone, channel);
    this.reporter.reportMissing(method, isMicrophone === undefined ? `${method}: source ${source}` : `${method}: mixing`);
    return ErrorCode.CommonSdkNoModule;
  }
}
