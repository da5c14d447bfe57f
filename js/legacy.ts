import type { ZegoEngineProfile, ZegoRoomConfig, ZegoVideoStreamType } from '../ZegoExpressDefines';
import type { EngineCalls } from './generated/engine_calls';
import ErrorCode = require('./generated/error_codes');
import type { Rooms } from './rooms';

/** A method of an older version: the name of its replacement, and its implementation. */
type LegacyMethod = readonly [replacement: string, run: (engine: EngineCalls, rooms: Rooms, ...args: never[]) => unknown];

export const LEGACY_METHODS: Readonly<Record<string, LegacyMethod>> = {
  uninit: ['destroyEngine', (engine) => engine.destroyEngine()],
  initWithProfile: ['createEngine', (engine, _rooms, profile: ZegoEngineProfile) => engine.createEngine(profile)],
  enableConsolePrintDebugInfo: [
    'enableDebugAssistant',
    (engine, _rooms, enable: boolean) => engine.enableDebugAssistant(enable),
  ],
  // Messages are in English for every language.
  setDebugVerbose: ['enableDebugAssistant', (engine, _rooms, enable: boolean) => engine.enableDebugAssistant(enable)],
  // It has no user argument: all rooms have the user of the first login.
  loginMultiRoom: [
    'setRoomMode and loginRoom',
    (engine, rooms, roomID: string, config?: ZegoRoomConfig) => engine.loginRoom(roomID, rooms.lastUser, config),
  ],
  setPlayStreamVideoLayer: [
    'setPlayStreamVideoType',
    (engine, _rooms, streamID: string, layer: ZegoVideoStreamType) => engine.setPlayStreamVideoType(streamID, layer),
  ],
  setReverbParam: ['setReverbAdvancedParam', (engine, _rooms, param: object) => engine.setReverbAdvancedParam(param)],
};

/** Device errors of older versions start after this code, in the order of `ZegoDeviceExceptionType`. */
const DEVICE_ERROR_BASE = ErrorCode.DeviceErrorTypeGeneric - 1;
const LAST_DEVICE_ERROR = ErrorCode.DeviceErrorMediaServicesLost;
/** Names by `ZegoDeviceType`. */
const DEVICE_NAMES = ['', 'camera', 'microphone', 'speaker'];

/** The payload of the older `onDeviceError`, from that of the event that replaced it. */
export function deviceError(payload: unknown): { errorCode: number; deviceName: string } {
  const { exceptionType, deviceType } = payload as { exceptionType: number; deviceType: number };
  const code = DEVICE_ERROR_BASE + exceptionType;
  const isKnown = code > DEVICE_ERROR_BASE && code <= LAST_DEVICE_ERROR;
  return { errorCode: isKnown ? code : ErrorCode.DeviceErrorTypeGeneric, deviceName: DEVICE_NAMES[deviceType] ?? '' };
}
