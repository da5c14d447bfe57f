import type { ZegoSEIConfig, ZegoUser } from '../ZegoExpressDefines';
import Defines = require('./generated/defines');
import type { NativeEngine, NativeUser } from './generated/native';

/** A user without missing fields; an empty ID is refused by the engine. */
export const toNativeUser = (user: { userID: string | null; userName?: string | null }): NativeUser => ({
  userID: user.userID ?? '',
  userName: user.userName ?? '',
});

function toBytes(data: ArrayBuffer | Uint8Array): Uint8Array {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Uint8Array(data);
}

/** Text to other users, and bytes inside video. */
export class Messages {
  sendCustomCommand(
    native: NativeEngine,
    request: number,
    roomID: string,
    command: string,
    users?: readonly ZegoUser[] | null,
  ): void {
    native.sendCustomCommand(roomID, command, (users ?? []).map(toNativeUser), request);
  }

  sendSEI(native: NativeEngine, data: ArrayBuffer | Uint8Array, channel: number): void {
    native.sendSEI(toBytes(data), channel);
  }

  /** Players receive both types alike; see `sendSEI`. */
  setSEIConfig(native: NativeEngine, config: ZegoSEIConfig): void {
    native.setSEIConfig(config.type ?? Defines.ZegoSEIType.ZegoDefined);
  }
}
