import { existsSync } from 'fs';
import { join, sep } from 'path';
import ErrorCode = require('./generated/error_codes');
import { ZegoError } from './errors';

export interface NativeProfile {
  appID: number;
  appSign: string;
  scenario: number;
  server?: string;
}

export interface NativeLogConfig {
  logPath?: string;
  logSize?: number;
  logCount?: number;
}

export interface NativeConfig {
  advancedConfig: Record<string, string>;
  logConfig?: NativeLogConfig;
  multiRoom: boolean;
}

export interface NativeUser {
  userID: string;
  userName: string;
}

export interface NativeRoomConfig {
  maxMemberCount: number;
  isUserStatusNotify: boolean;
  token: string;
}

export interface NativeVideoConfig {
  preset?: number;
  captureWidth?: number;
  captureHeight?: number;
  encodeWidth?: number;
  encodeHeight?: number;
  fps?: number;
  bitrate?: number;
  codecID?: number;
  keyFrameInterval?: number;
}

/** In pixels. */
export interface NativeSize {
  width: number;
  height: number;
}

/** `ZegoRect`, in pixels. */
export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface DeviceInfo {
  deviceID: string;
  deviceName: string;
}

/**
 * Called on the JS thread. View 0: slot 0 = events wait, -1 = call `resume` after other work of the page.
 * Another view: slot -1 = make a ring of that size, else draw that slot now.
 */
export type Wake = (view: number, slot: number, width: number, height: number) => void;

/** The native class; `src/engine.rs` documents it. */
export interface NativeEngine {
  create(profile: NativeProfile, config: NativeConfig): void;
  destroy(): void;
  resume(): void;
  drainEvents(): string;
  setRoomScenario(scenario: number): void;
  loginRoom(roomID: string, user: NativeUser, config: NativeRoomConfig): void;
  logoutRoom(roomID?: string): void;
  switchRoom(from: string, to: string, config: NativeRoomConfig): void;
  renewToken(roomID: string, token: string): void;
  setRoomExtraInfo(roomID: string, key: string, value: string, request: number): void;
  setStreamExtraInfo(info: string, channel: number, request: number): void;
  startPublishingStream(streamID: string, roomID: string | undefined, channel: number): void;
  stopPublishingStream(channel: number): void;
  startPreview(channel: number, view?: number): void;
  stopPreview(channel: number): void;
  startPlayingStream(streamID: string, view?: number, roomID?: string): void;
  stopPlayingStream(streamID: string): void;
  mutePublishStreamAudio(mute: boolean, channel: number): void;
  mutePublishStreamVideo(mute: boolean, channel: number): void;
  muteMicrophone(mute: boolean): void;
  muteSpeaker(mute: boolean): void;
  enableCamera(enable: boolean, channel: number): void;
  setVideoConfig(config: NativeVideoConfig, channel: number): void;
  setVideoMirrorMode(mode: number, channel: number): void;
  setPlayVolume(streamID: string, volume: number): void;
  setPlayStreamVideoType(streamID: string, streamType: number): void;
  enableTrafficControl(enable: boolean, properties: number, channel: number): void;
  setMinVideoBitrateForTrafficControl(kbps: number, mode: number): void;
  setMinVideoFpsForTrafficControl(fps: number, channel: number): void;
  setMinVideoResolutionForTrafficControl(width: number, height: number, channel: number): void;
  setTrafficControlFocusOn(mode: number, channel: number): void;
  getVideoConfig(channel: number): NativeVideoConfig;
  /** 1 = camera, 2 = the screen capture source of that number, 0 = none; gives an error code. */
  setVideoSource(kind: number, instance: number, channel: number): number;
  getScreenCaptureSources(thumbnail: NativeSize, icon: NativeSize, request: number): void;
  createScreenCaptureSource(sourceID: number, sourceType: number): number;
  destroyScreenCaptureSource(index: number): void;
  updateScreenCaptureSource(index: number, sourceID: number, sourceType: number): void;
  startScreenCapture(index: number): void;
  stopScreenCapture(index: number): void;
  getCaptureSourceRect(index: number): Rect;
  updateCaptureRegion(index: number, region: Rect): void;
  updatePublishRegion(index: number, region: Rect): void;
  setExcludeWindowList(index: number, windows: number[]): void;
  enableWindowActivate(index: number, active: boolean): void;
  enableCursorVisible(index: number, visible: boolean): void;
  setSEIConfig(kind: number): void;
  sendSEI(data: Uint8Array, channel: number): void;
  takePublishStreamSnapshot(channel: number, request: number): void;
  takePlayStreamSnapshot(streamID: string, request: number): void;
  sendBarrageMessage(roomID: string, message: string, request: number): void;
  startNetworkSpeedTest(interval: number, uplink?: number, downlink?: number): void;
  stopNetworkSpeedTest(): void;
  getNetworkTimeInfo(): { timestamp: number; maxDeviation: number };
  setPlayStreamBufferIntervalRange(streamID: string, least: number, most: number): void;
  enableAEC(enable: boolean): void;
  setAECMode(mode: number): void;
  enableANS(enable: boolean): void;
  setANSMode(mode: number): void;
  enableAGC(enable: boolean): void;
  setCaptureVolume(volume: number): void;
  enableAudioCaptureDevice(enable: boolean): void;
  setAudioConfig(bitrate: number, stereo: boolean, channel: number): void;
  setAudioCaptureStereoMode(mode: number): void;
  /** Whether the channel sends the microphone's sound, or none; gives an error code. */
  setAudioSource(microphone: boolean, channel: number): number;
  enableHeadphoneMonitor(enable: boolean): void;
  setHeadphoneMonitorVolume(volume: number): void;
  startSoundLevelMonitor(millisecond: number, withVoice: boolean): void;
  startAudioSpectrumMonitor(millisecond: number): void;
  stopSoundLevelMonitor(): void;
  stopAudioSpectrumMonitor(): void;
  startAudioVADStableStateMonitor(source: number, millisecond: number): void;
  stopAudioVADStableStateMonitor(source: number): void;
  getDefaultAudioDeviceID(deviceType: number): string;
  getCurrentAudioDevice(deviceType: number): DeviceInfo;
  getAudioDeviceVolume(deviceType: number, deviceID: string): number;
  setAudioDeviceVolume(deviceType: number, deviceID: string, volume: number): void;
  getSpeakerVolumeInAPP(deviceID: string): number;
  setSpeakerVolumeInAPP(deviceID: string, volume: number): void;
  muteAudioDevice(deviceType: number, deviceID: string, mute: boolean): void;
  startAudioDeviceVolumeMonitor(deviceType: number, deviceID: string): void;
  stopAudioDeviceVolumeMonitor(deviceType: number, deviceID: string): void;
  mutePlayStreamAudio(streamID: string, mute: boolean): void;
  mutePlayStreamVideo(streamID: string, mute: boolean): void;
  muteAllPlayStreamAudio(mute: boolean): void;
  muteAllPlayStreamVideo(mute: boolean): void;
  setAllPlayStreamVolume(volume: number): void;
  getVideoDeviceList(): DeviceInfo[];
  getAudioDeviceList(deviceType: number): DeviceInfo[];
  useVideoDevice(deviceID: string, channel: number): void;
  useAudioDevice(deviceID: string, deviceType: number): void;
  sendBroadcastMessage(roomID: string, message: string, request: number): void;
  sendCustomCommand(roomID: string, command: string, users: NativeUser[], request: number): void;
  callExperimentalAPI(parameters: string): string;
  createView(width: number, height: number, mode: number): number;
  setViewTile(view: number, width: number, height: number, mode: number): void;
  setViewRing(view: number, width: number, height: number, slots: Uint8ClampedArray[]): void;
  closeView(view: number): void;
  viewStats(view: number): string;
}

/** What the `.node` file exports. */
export interface NativeModule {
  NativeEngine: {
    new (wake: Wake): NativeEngine;
    getVersion(): string;
    setLogConfig(config: NativeLogConfig): void;
  };
}

/** The file's place; beside the archive when an application is packed into one, as it cannot be mapped from inside. */
function nativePath(): string {
  const inside = join(__dirname, '..', 'native', `zego-express.${process.platform}-${process.arch}.node`);
  const beside = inside.replace(`app.asar${sep}`, `app.asar.unpacked${sep}`);
  return existsSync(beside) ? beside : inside;
}

let loaded: NativeModule | undefined;

/** Loads the native part on first use, so that `require` alone never fails. */
export function loadNative(): NativeModule {
  if (loaded) return loaded;
  const path = nativePath();
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    loaded = require(path) as NativeModule;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ZegoError(ErrorCode.CommonLoadLibraryFailed, `the native part ${path} could not be loaded: ${reason}`);
  }
  return loaded;
}
