import type { Argument } from './arguments';
import { EngineMessages } from './engine_messages';
import Defines = require('./generated/defines');
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import type { DeviceInfo, NativeVideoConfig } from './native';
import type { Answer } from './requests';

export type VideoConfig = { [K in keyof NativeVideoConfig]?: number | null };

const MAIN: number = Defines.ZegoPublishChannel.Main;
const VIDEO_FIELDS = [
  'preset',
  'captureWidth',
  'captureHeight',
  'encodeWidth',
  'encodeHeight',
  'fps',
  'bitrate',
  'codecID',
  'keyFrameInterval',
] as const;
/** What the native part calls sources of pictures. */
const [NO_SOURCE, CAMERA_SOURCE, SCREEN_SOURCE] = [0, 1, 2];
/** All of them are coded as H.264. */
const CODECS: ReadonlySet<number> = new Set([
  Defines.ZegoVideoCodecID.Default,
  Defines.ZegoVideoCodecID.SVC,
  Defines.ZegoVideoCodecID.H264DualStream,
]);

const PRESETS: ReadonlySet<number> = new Set(Object.values(Defines.ZegoVideoConfigPreset));

/** The calls about pictures. */
export abstract class EngineVideo extends EngineMessages {
  // ---- what is published

  mutePublishStreamVideo(mute: boolean, channel = MAIN): void {
    const args: Argument[] = [
      ['mute', mute, 'flag'],
      ['channel', channel, 'count'],
    ];
    this.call('mutePublishStreamVideo', args, (native) => native.mutePublishStreamVideo(mute, channel));
  }

  setVideoConfig(config: number | VideoConfig, channel = MAIN): void {
    const video: VideoConfig = typeof config === 'number' ? { preset: config } : config;
    const args: Argument[] = [
      ['config', video, 'object'],
      ...VIDEO_FIELDS.map((name): Argument => [`config.${name}`, video?.[name], 'count?']),
      ['channel', channel, 'count'],
    ];
    this.call('setVideoConfig', args, (native) => {
      if (typeof config === 'number' && !PRESETS.has(config)) {
        throw new ZegoError(ErrorCode.CommonIllegalParam, `there is no preset ${config}`);
      }
      const codec = video.codecID;
      if (typeof codec === 'number' && !CODECS.has(codec)) this.reportMissing('setVideoConfig', `setVideoConfig: codec ${codec}`);
      const given = VIDEO_FIELDS.filter((name) => typeof video[name] === 'number');
      native.setVideoConfig(Object.fromEntries(given.map((name) => [name, video[name]])), channel);
    });
  }

  getVideoConfig(channel = MAIN): NativeVideoConfig {
    return this.call('getVideoConfig', [['channel', channel, 'count']], (native) => native.getVideoConfig(channel)) ?? {};
  }

  setVideoMirrorMode(mirrorMode: number, channel = MAIN): void {
    const args: Argument[] = [
      ['mirrorMode', mirrorMode, 'count'],
      ['channel', channel, 'count'],
    ];
    this.call('setVideoMirrorMode', args, (native) => native.setVideoMirrorMode(mirrorMode, channel));
  }

  /** The picture that is captured now, as JPEG in base64. */
  takePublishStreamSnapshot(channel = MAIN): Promise<Answer> {
    return this.ask('takePublishStreamSnapshot', [['channel', channel, 'count']], (native, request) =>
      native.takePublishStreamSnapshot(channel, request),
    );
  }

  // ---- what is played

  setPlayStreamVideoType(streamID: string, streamType: number): void {
    const args: Argument[] = [
      ['streamID', streamID, 'text'],
      ['streamType', streamType, 'count'],
    ];
    this.call('setPlayStreamVideoType', args, (native) => native.setPlayStreamVideoType(streamID, streamType));
  }

  setPlayStreamBufferIntervalRange(streamID: string, minBufferInterval: number, maxBufferInterval: number): void {
    const args: Argument[] = [
      ['streamID', streamID, 'text'],
      ['minBufferInterval', minBufferInterval, 'count'],
      ['maxBufferInterval', maxBufferInterval, 'count'],
    ];
    this.call('setPlayStreamBufferIntervalRange', args, (native) =>
      native.setPlayStreamBufferIntervalRange(streamID, minBufferInterval, maxBufferInterval),
    );
  }

  /** The picture that is shown now, as JPEG in base64. */
  takePlayStreamSnapshot(streamID: string): Promise<Answer> {
    return this.ask('takePlayStreamSnapshot', [['streamID', streamID, 'text']], (native, request) =>
      native.takePlayStreamSnapshot(streamID, request),
    );
  }

  // ---- cameras

  enableCamera(enable: boolean, channel = MAIN): void {
    const args: Argument[] = [
      ['enable', enable, 'flag'],
      ['channel', channel, 'count'],
    ];
    this.call('enableCamera', args, (native) => native.enableCamera(enable, channel));
  }

  getVideoDeviceList(): DeviceInfo[] {
    return this.call('getVideoDeviceList', [], (native) => native.getVideoDeviceList()) ?? [];
  }

  /** The one that is used where none is named: the first of the list. Empty without a camera. */
  getDefaultVideoDeviceID(): string {
    return this.call('getDefaultVideoDeviceID', [], (native) => native.getVideoDeviceList()[0]?.deviceID) ?? '';
  }

  useVideoDevice(deviceID: string, channel = MAIN): void {
    const args: Argument[] = [
      ['deviceID', deviceID, 'text'],
      ['channel', channel, 'count'],
    ];
    this.call('useVideoDevice', args, (native) => native.useVideoDevice(deviceID, channel));
  }

  /** A camera, a screen capture source, or no picture at all; what else the vendor knows is refused with an error code. */
  setVideoSource(source: number, instanceID: number, channel = MAIN): number {
    const args: Argument[] = [
      ['source', source, 'count'],
      ['instanceID', instanceID, 'count?'],
      ['channel', channel, 'count'],
    ];
    const { ZegoVideoSourceType: Source } = Defines;
    const kinds = new Map<number, number>([
      [Source.None, NO_SOURCE],
      [Source.ZegoVideoSourceNone, NO_SOURCE],
      [Source.Camera, CAMERA_SOURCE],
      [Source.ZegoVideoSourceDefault, CAMERA_SOURCE],
      [Source.ZegoVideoSourceCamera, CAMERA_SOURCE],
      [Source.ScreenCapture, SCREEN_SOURCE],
      [Source.ZegoVideoSourceScreenCapture, SCREEN_SOURCE],
    ]);
    const set = this.call('setVideoSource', args, (native) => {
      const kind = kinds.get(source);
      if (kind !== undefined) return native.setVideoSource(kind, instanceID ?? 0, channel);
      this.reportMissing('setVideoSource', `setVideoSource: source ${source}`);
      return ErrorCode.CommonSdkNoModule;
    });
    return set ?? ErrorCode.CommonIllegalParam;
  }

  // ---- codecs

  /** 1 if pictures can be sent in this codec, else 0. There is no hardware encoder. */
  isVideoEncoderSupported(codecID: number, codecBackend: number = Defines.ZegoVideoCodecBackend.Any): number {
    return this.isCodecSupported('isVideoEncoderSupported', codecID, codecBackend);
  }

  /** 1 if pictures in this codec can be played, else 0. There is no hardware decoder. */
  isVideoDecoderSupported(codecID: number, codecBackend: number = Defines.ZegoVideoCodecBackend.Any): number {
    return this.isCodecSupported('isVideoDecoderSupported', codecID, codecBackend);
  }

  private isCodecSupported(method: string, codecID: number, codecBackend: number): number {
    const args: Argument[] = [
      ['codecID', codecID, 'count'],
      ['codecBackend', codecBackend, 'count'],
    ];
    const isSoftware = codecBackend !== Defines.ZegoVideoCodecBackend.Hardware;
    return this.call(method, args, () => (isSoftware && CODECS.has(codecID) ? 1 : 0)) ?? 0;
  }
}
