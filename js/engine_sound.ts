import { EventEmitter } from 'events';
import type { Argument } from './arguments';
import Defines = require('./generated/defines');
import ErrorCode = require('./generated/error_codes');
import type { DeviceInfo, NativeEngine } from './native';

export interface AudioConfig {
  bitrate?: number | null;
  channel?: number | null;
  codecID?: number | null;
}

/** `ZegoAudioSourceMixConfig`. */
export interface AudioSourceMixConfig {
  mediaPlayerIndexList?: number[] | null;
  audioEffectPlayerIndexList?: number[] | null;
  enableMixSystemPlayout?: boolean | null;
  enableMixEnginePlayout?: boolean | null;
}

interface SoundLevelConfig {
  millisecond?: number | null;
  enableVAD?: boolean | null;
}

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
/** What can be heard on a channel: its `ZegoAudioSourceType`, and whether that is the microphone. */
const SOURCES: ReadonlyMap<number, boolean> = new Map([
  [Defines.ZegoAudioSourceType.Default, true],
  [Defines.ZegoAudioSourceType.Microphone, true],
  [Defines.ZegoAudioSourceType.None, false],
]);
const USUAL_INTERVAL = 100;
/** Where a configuration says nothing. */
const USUAL_CONFIG: AudioConfig = { bitrate: 48, channel: Mono, codecID: Defines.ZegoAudioCodecID.Default };
/** kbit/s. */
const [MIN_BITRATE, MAX_BITRATE] = [6, 510];
const USUAL_VAD_INTERVAL = 3000;
const FULL_VOLUME = 100;

/** Whether anything is to be mixed in. */
const mixes = (config: AudioSourceMixConfig | null | undefined) =>
  Object.values(config ?? {}).some((value) => (Array.isArray(value) ? value.length > 0 : Boolean(value)));

const deviceArguments = (deviceType: number, deviceID: string): Argument[] => [
  ['deviceType', deviceType, 'count'],
  ['deviceID', deviceID, 'text'],
];

/** The calls about sound. */
export abstract class EngineSound extends EventEmitter {
  /** Of the main channel. */
  private audioConfig = USUAL_CONFIG;

  protected abstract call<T>(
    method: string,
    args: readonly Argument[],
    run: (native: NativeEngine) => T,
  ): T | undefined;

  /** Tells once for each subject that it is not built. */
  protected abstract reportMissing(method: string, subject?: string): void;

  // ---- the microphone

  enableAEC(enable: boolean): void {
    this.call('enableAEC', [['enable', enable, 'flag']], (native) => native.enableAEC(enable));
  }

  setAECMode(mode: number): void {
    this.call('setAECMode', [['mode', mode, 'count']], (native) => native.setAECMode(mode));
  }

  enableANS(enable: boolean): void {
    this.call('enableANS', [['enable', enable, 'flag']], (native) => native.enableANS(enable));
  }

  setANSMode(mode: number): void {
    this.call('setANSMode', [['mode', mode, 'count']], (native) => native.setANSMode(mode));
  }

  enableAGC(enable: boolean): void {
    this.call('enableAGC', [['enable', enable, 'flag']], (native) => native.enableAGC(enable));
  }

  setCaptureVolume(volume: number): void {
    this.call('setCaptureVolume', [['volume', volume, 'count']], (native) => native.setCaptureVolume(volume));
  }

  enableAudioCaptureDevice(enable: boolean): void {
    this.call('enableAudioCaptureDevice', [['enable', enable, 'flag']], (native) => native.enableAudioCaptureDevice(enable));
  }

  /** The microphone, or no sound at all; what else the vendor knows is refused with an error code. */
  setAudioSource(source: number, channel = MAIN): number {
    return this.chooseAudio('setAudioSource', source, channel);
  }

  /** For the main channel. Nothing can be mixed with the microphone yet. */
  setAudioSourceWithConfig(source: number, config?: AudioSourceMixConfig | null): number {
    return this.chooseAudio('setAudioSourceWithConfig', source, MAIN, config);
  }

  setAudioConfig(config: number | AudioConfig): void {
    this.configureAudio('setAudioConfig', config, MAIN);
  }

  setAudioConfigWithChannel(config: number | AudioConfig, channel = MAIN): void {
    this.configureAudio('setAudioConfigWithChannel', config, channel);
  }

  setAudioCaptureStereoMode(mode: number): void {
    this.call('setAudioCaptureStereoMode', [['mode', mode, 'count']], (native) => native.setAudioCaptureStereoMode(mode));
  }

  /** What was set for the main channel. */
  getAudioConfig(): AudioConfig {
    return this.call('getAudioConfig', [], () => ({ ...this.audioConfig })) ?? {};
  }

  enableHeadphoneMonitor(enable: boolean): void {
    this.call('enableHeadphoneMonitor', [['enable', enable, 'flag']], (native) => native.enableHeadphoneMonitor(enable));
  }

  setHeadphoneMonitorVolume(volume: number): void {
    this.call('setHeadphoneMonitorVolume', [['volume', volume, 'count']], (native) => native.setHeadphoneMonitorVolume(volume));
  }

  // ---- levels

  startSoundLevelMonitor(millisecond = USUAL_INTERVAL): void {
    this.call('startSoundLevelMonitor', [['millisecond', millisecond, 'count']], (native) =>
      native.startSoundLevelMonitor(millisecond, false),
    );
  }

  startSoundLevelMonitorWithConfig(config: SoundLevelConfig): void {
    const args: Argument[] = [
      ['config', config, 'object'],
      ['config.millisecond', config?.millisecond, 'count?'],
      ['config.enableVAD', config?.enableVAD, 'flag?'],
    ];
    this.call('startSoundLevelMonitorWithConfig', args, (native) =>
      native.startSoundLevelMonitor(config.millisecond ?? USUAL_INTERVAL, config.enableVAD ?? false),
    );
  }

  stopSoundLevelMonitor(): void {
    this.call('stopSoundLevelMonitor', [], (native) => native.stopSoundLevelMonitor());
  }

  startAudioSpectrumMonitor(millisecond = USUAL_INTERVAL): void {
    this.call('startAudioSpectrumMonitor', [['millisecond', millisecond, 'count']], (native) =>
      native.startAudioSpectrumMonitor(millisecond),
    );
  }

  stopAudioSpectrumMonitor(): void {
    this.call('stopAudioSpectrumMonitor', [], (native) => native.stopAudioSpectrumMonitor());
  }

  startAudioVADStableStateMonitor(type: number, millisecond = USUAL_VAD_INTERVAL): void {
    const args: Argument[] = [
      ['type', type, 'count'],
      ['millisecond', millisecond, 'count'],
    ];
    this.call('startAudioVADStableStateMonitor', args, (native) => native.startAudioVADStableStateMonitor(type, millisecond));
  }

  stopAudioVADStableStateMonitor(type: number): void {
    this.call('stopAudioVADStableStateMonitor', [['type', type, 'count']], (native) =>
      native.stopAudioVADStableStateMonitor(type),
    );
  }

  // ---- devices

  getDefaultAudioDeviceID(deviceType: number): string {
    const args: Argument[] = [['deviceType', deviceType, 'count']];
    return this.call('getDefaultAudioDeviceID', args, (native) => native.getDefaultAudioDeviceID(deviceType)) ?? '';
  }

  getCurrentAudioDevice(deviceType: number): DeviceInfo {
    const args: Argument[] = [['deviceType', deviceType, 'count']];
    const device = this.call('getCurrentAudioDevice', args, (native) => native.getCurrentAudioDevice(deviceType));
    return device ?? { deviceID: '', deviceName: '' };
  }

  /** The volume for this application; the system's mixer is left alone. */
  getAudioDeviceVolume(deviceType: number, deviceID: string): number {
    const args = deviceArguments(deviceType, deviceID);
    const volume = this.call('getAudioDeviceVolume', args, (native) => native.getAudioDeviceVolume(deviceType, deviceID));
    return volume ?? FULL_VOLUME;
  }

  setAudioDeviceVolume(deviceType: number, deviceID: string, volume: number): void {
    const args: Argument[] = [...deviceArguments(deviceType, deviceID), ['volume', volume, 'count']];
    this.call('setAudioDeviceVolume', args, (native) => native.setAudioDeviceVolume(deviceType, deviceID, volume));
  }

  getSpeakerVolumeInAPP(deviceID: string): number {
    const args: Argument[] = [['deviceID', deviceID, 'text']];
    return this.call('getSpeakerVolumeInAPP', args, (native) => native.getSpeakerVolumeInAPP(deviceID)) ?? FULL_VOLUME;
  }

  setSpeakerVolumeInAPP(deviceID: string, volume: number): void {
    const args: Argument[] = [
      ['deviceID', deviceID, 'text'],
      ['volume', volume, 'count'],
    ];
    this.call('setSpeakerVolumeInAPP', args, (native) => native.setSpeakerVolumeInAPP(deviceID, volume));
  }

  muteAudioDevice(deviceType: number, deviceID: string, mute: boolean): void {
    const args: Argument[] = [...deviceArguments(deviceType, deviceID), ['mute', mute, 'flag']];
    this.call('muteAudioDevice', args, (native) => native.muteAudioDevice(deviceType, deviceID, mute));
  }

  startAudioDeviceVolumeMonitor(deviceType: number, deviceID: string): void {
    this.call('startAudioDeviceVolumeMonitor', deviceArguments(deviceType, deviceID), (native) =>
      native.startAudioDeviceVolumeMonitor(deviceType, deviceID),
    );
  }

  stopAudioDeviceVolumeMonitor(deviceType: number, deviceID: string): void {
    this.call('stopAudioDeviceVolumeMonitor', deviceArguments(deviceType, deviceID), (native) =>
      native.stopAudioDeviceVolumeMonitor(deviceType, deviceID),
    );
  }

  // ---- what is played

  mutePlayStreamAudio(streamID: string, mute: boolean): void {
    const args: Argument[] = [
      ['streamID', streamID, 'text'],
      ['mute', mute, 'flag'],
    ];
    this.call('mutePlayStreamAudio', args, (native) => native.mutePlayStreamAudio(streamID, mute));
  }

  mutePlayStreamVideo(streamID: string, mute: boolean): void {
    const args: Argument[] = [
      ['streamID', streamID, 'text'],
      ['mute', mute, 'flag'],
    ];
    this.call('mutePlayStreamVideo', args, (native) => native.mutePlayStreamVideo(streamID, mute));
  }

  muteAllPlayStreamAudio(mute: boolean): void {
    this.call('muteAllPlayStreamAudio', [['mute', mute, 'flag']], (native) => native.muteAllPlayStreamAudio(mute));
  }

  muteAllPlayStreamVideo(mute: boolean): void {
    this.call('muteAllPlayStreamVideo', [['mute', mute, 'flag']], (native) => native.muteAllPlayStreamVideo(mute));
  }

  setAllPlayStreamVolume(volume: number): void {
    this.call('setAllPlayStreamVolume', [['volume', volume, 'count']], (native) => native.setAllPlayStreamVolume(volume));
  }

  private chooseAudio(method: string, source: number, channel: number, config?: AudioSourceMixConfig | null): number {
    const args: Argument[] = [
      ['source', source, 'count'],
      ['config', config, 'object?'],
      ['channel', channel, 'count'],
    ];
    const chosen = this.call(method, args, (native) => {
      const isMicrophone = SOURCES.get(source);
      if (isMicrophone !== undefined && !mixes(config)) return native.setAudioSource(isMicrophone, channel);
      this.reportMissing(method, isMicrophone === undefined ? `${method}: source ${source}` : `${method}: mixing`);
      return ErrorCode.CommonSdkNoModule;
    });
    return chosen ?? ErrorCode.CommonIllegalParam;
  }

  private configureAudio(method: string, config: number | AudioConfig, channel: number): void {
    const preset = PRESETS[typeof config === 'number' ? config : -1];
    const wanted: AudioConfig | undefined = typeof config === 'number' ? (preset && { bitrate: preset[0], channel: preset[1] }) : config;
    const args: Argument[] = [
      ['config', wanted, 'object'],
      ['config.bitrate', wanted?.bitrate, 'count?'],
      ['config.channel', wanted?.channel, 'count?'],
      ['config.codecID', wanted?.codecID, 'count?'],
      ['channel', channel, 'count'],
    ];
    this.call(method, args, (native) => {
      const given = Object.fromEntries(Object.entries(wanted ?? {}).filter(([, value]) => typeof value === 'number'));
      const next: AudioConfig = { ...USUAL_CONFIG, ...given };
      const bitrate = next.bitrate ?? 0;
      // What is out of range the native part refuses.
      native.setAudioConfig(bitrate, next.channel === Stereo, channel);
      if (channel === MAIN && bitrate >= MIN_BITRATE && bitrate <= MAX_BITRATE) this.audioConfig = next;
    });
  }

  /** As it is for a new engine. */
  protected forgetAudioConfig(): void {
    this.audioConfig = USUAL_CONFIG;
  }
}
