import type { ZegoVideoConfig, ZegoVideoConfigPreset } from '../ZegoExpressDefines';
import { ZegoError } from './errors';
import Defines = require('./generated/defines');
import ErrorCode = require('./generated/error_codes');
import type { NativeEngine, NativeVideoConfig } from './generated/native';
import type { Reporter } from './reporter';

const FIELDS = [
  'captureWidth',
  'captureHeight',
  'encodeWidth',
  'encodeHeight',
  'fps',
  'bitrate',
  'codecID',
  'keyFrameInterval',
] as const;
/** Kinds of video sources of the native part. */
const [NO_SOURCE, CAMERA_SOURCE, SCREEN_SOURCE] = [0, 1, 2];
const { ZegoVideoSourceType: Source } = Defines;
const SOURCES: ReadonlyMap<number, number> = new Map<number, number>([
  [Source.None, NO_SOURCE],
  [Source.ZegoVideoSourceNone, NO_SOURCE],
  [Source.Camera, CAMERA_SOURCE],
  [Source.ZegoVideoSourceDefault, CAMERA_SOURCE],
  [Source.ZegoVideoSourceCamera, CAMERA_SOURCE],
  [Source.ScreenCapture, SCREEN_SOURCE],
  [Source.ZegoVideoSourceScreenCapture, SCREEN_SOURCE],
]);
/** Codecs that are sent as H.264. */
const CODECS: ReadonlySet<number> = new Set([
  Defines.ZegoVideoCodecID.Default,
  Defines.ZegoVideoCodecID.SVC,
  Defines.ZegoVideoCodecID.H264DualStream,
]);
const PRESETS: ReadonlySet<number> = new Set(Object.values(Defines.ZegoVideoConfigPreset));

/** Configuration and source of the published video, and supported codecs. */
export class Video {
  constructor(private readonly reporter: Reporter) {}

  setVideoConfig(native: NativeEngine, config: ZegoVideoConfigPreset | ZegoVideoConfig, channel: number): void {
    native.setVideoConfig(typeof config === 'number' ? fromPreset(config) : this.fromFields(config), channel);
  }

  setVideoSource(native: NativeEngine, source: number, instanceID: number, channel: number): number {
    const kind = SOURCES.get(source);
    if (kind !== undefined) return native.setVideoSource(kind, instanceID, channel);
    this.reporter.reportMissing('setVideoSource', `setVideoSource: source ${source}`);
    return ErrorCode.CommonSdkNoModule;
  }

  /** 1 if video can be sent in this codec, else 0. There is no hardware encoder. */
  isVideoEncoderSupported(codecID: number, codecBackend: number): number {
    return isSupported(codecID, codecBackend);
  }

  /** 1 if video in this codec can be played, else 0. There is no hardware decoder. */
  isVideoDecoderSupported(codecID: number, codecBackend: number): number {
    return isSupported(codecID, codecBackend);
  }

  private fromFields(config: ZegoVideoConfig): NativeVideoConfig {
    const { codecID } = config;
    if (typeof codecID === 'number' && !CODECS.has(codecID)) {
      this.reporter.reportMissing('setVideoConfig', `setVideoConfig: codec ${codecID}`);
    }
    const given = FIELDS.filter((name) => typeof config[name] === 'number');
    return Object.fromEntries(given.map((name) => [name, config[name]]));
  }
}

function fromPreset(preset: number): NativeVideoConfig {
  if (!PRESETS.has(preset)) throw new ZegoError(ErrorCode.CommonIllegalParam, `there is no preset ${preset}`);
  return { preset };
}

const isSupported = (codecID: number, codecBackend: number) =>
  codecBackend !== Defines.ZegoVideoCodecBackend.Hardware && CODECS.has(codecID) ? 1 : 0;
