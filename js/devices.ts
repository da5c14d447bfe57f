import type { NativeEngine } from './generated/native';

/** Mute states, and the default camera. */
export class Devices {
  private microphoneMuted = false;
  private speakerMuted = false;

  muteMicrophone(native: NativeEngine, mute: boolean): void {
    this.microphoneMuted = mute;
    native.muteMicrophone(mute);
  }

  isMicrophoneMuted(): boolean {
    return this.microphoneMuted;
  }

  muteSpeaker(native: NativeEngine, mute: boolean): void {
    this.speakerMuted = mute;
    native.muteSpeaker(mute);
  }

  isSpeakerMuted(): boolean {
    return this.speakerMuted;
  }

  /** The camera that is used by default: the first of the list. */
  getDefaultVideoDeviceID(native: NativeEngine): string | undefined {
    return native.getVideoDeviceList()[0]?.deviceID;
  }

  /** Restores the state of a new engine. */
  reset(): void {
    this.microphoneMuted = this.speakerMuted = false;
  }
}
