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
  runRoomServer(args: string[]): number;
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
