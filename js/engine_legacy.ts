import type { ZegoExpressEngine } from './engine';
import ErrorCode = require('./generated/error_codes');

/** Calls of older versions, with what they are now. */
type Shim = readonly [now: string, run: (engine: ZegoExpressEngine, ...values: never[]) => unknown];

export const LEGACY_METHODS: Readonly<Record<string, Shim>> = {
  uninit: ['destroyEngine', (engine) => engine.destroyEngine()],
  initWithProfile: ['createEngine', (engine, profile) => engine.createEngine(profile)],
  enableConsolePrintDebugInfo: ['enableDebugAssistant', (engine, enable) => engine.enableDebugAssistant(enable)],
  // The language of what it prints is English.
  setDebugVerbose: ['enableDebugAssistant', (engine, enable) => engine.enableDebugAssistant(enable)],
  // It had no user: everywhere the user is the one of the first login.
  loginMultiRoom: ['setRoomMode and loginRoom', (engine, roomID, config) => engine.loginRoom(roomID, engine.lastUser, config)],
  setPlayStreamVideoLayer: [
    'setPlayStreamVideoType',
    (engine, streamID, layer) => engine.setPlayStreamVideoType(streamID, layer),
  ],
  setReverbParam: [
    'setReverbAdvancedParam',
    (engine, param) => (engine as unknown as Record<string, (param: unknown) => void>)['setReverbAdvancedParam']?.(param),
  ],
};

/** The device errors of older versions begin here: then follow the `ZegoDeviceExceptionType`s that they knew. */
const FIRST_DEVICE_ERROR = ErrorCode.DeviceErrorTypeGeneric - 1;
const LAST_DEVICE_ERROR = ErrorCode.DeviceErrorMediaServicesLost;
/** By `ZegoDeviceType`. */
const DEVICE_NAMES = ['', 'camera', 'microphone', 'speaker'];

/** `onDeviceError` of older versions, from the event that came in its place. */
export function deviceError(payload: unknown): { errorCode: number; deviceName: string } {
  const { exceptionType, deviceType } = payload as { exceptionType: number; deviceType: number };
  const code = FIRST_DEVICE_ERROR + exceptionType;
  const isKnown = code > FIRST_DEVICE_ERROR && code <= LAST_DEVICE_ERROR;
  return { errorCode: isKnown ? code : ErrorCode.DeviceErrorTypeGeneric, deviceName: DEVICE_NAMES[deviceType] ?? '' };
}
