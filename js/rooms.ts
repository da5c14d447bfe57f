import type { ZegoRoomConfig, ZegoUser } from '../ZegoExpressDefines';
import type { NativeEngine, NativeRoomConfig } from './generated/native';
import { toNativeUser } from './messages';

const toNativeConfig = (config?: ZegoRoomConfig | null): NativeRoomConfig => ({
  maxMemberCount: config?.maxMemberCount ?? 0,
  isUserStatusNotify: config?.isUserStatusNotify ?? false,
  token: config?.token ?? '',
});

/** Logins. */
export class Rooms {
  /** The user of the last login. */
  lastUser: ZegoUser = { userID: '' };

  loginRoom(native: NativeEngine, roomID: string, user: ZegoUser | null, config?: ZegoRoomConfig | null): void {
    this.lastUser = toNativeUser(user ?? { userID: '' });
    native.loginRoom(roomID, toNativeUser(this.lastUser), toNativeConfig(config));
  }

  switchRoom(native: NativeEngine, from: string, to: string, config?: ZegoRoomConfig | null): void {
    native.switchRoom(from, to, toNativeConfig(config));
  }
}
