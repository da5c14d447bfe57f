import type { Argument } from './arguments';
import { EngineNetwork } from './engine_network';
import Defines = require('./generated/defines');
import type { NativeEngine } from './native';
import type { Answer } from './requests';

export interface User {
  userID: string | null;
  userName?: string | null;
}

const MAIN: number = Defines.ZegoPublishChannel.Main;

export const toUser = (user: User) => ({ userID: user.userID ?? '', userName: user.userName ?? '' });

/** The calls that send text and bytes to others. */
export abstract class EngineMessages extends EngineNetwork {
  /** Runs a method that answers by a promise. */
  protected abstract ask(
    method: string,
    args: readonly Argument[],
    run: (native: NativeEngine, request: number) => void,
  ): Promise<Answer>;

  sendBroadcastMessage(roomID: string, message: string): Promise<Answer> {
    return this.ask('sendBroadcastMessage', textArguments(roomID, message), (native, request) =>
      native.sendBroadcastMessage(roomID, message, request),
    );
  }

  sendBarrageMessage(roomID: string, message: string): Promise<Answer> {
    return this.ask('sendBarrageMessage', textArguments(roomID, message), (native, request) =>
      native.sendBarrageMessage(roomID, message, request),
    );
  }

  sendCustomCommand(roomID: string, command: string, toUserList?: User[] | null): Promise<Answer> {
    const users = Array.isArray(toUserList) ? toUserList : [];
    const args: Argument[] = [
      ['roomID', roomID, 'text'],
      ['command', command, 'text'],
      ['toUserList', toUserList, 'list?'],
      ...users.flatMap((user, index): Argument[] => [
        [`toUserList[${index}]`, user, 'object'],
        [`toUserList[${index}].userID`, user?.userID, 'text'],
        [`toUserList[${index}].userName`, user?.userName, 'text?'],
      ]),
    ];
    return this.ask('sendCustomCommand', args, (native, request) =>
      native.sendCustomCommand(roomID, command, users.map(toUser), request),
    );
  }

  /** Bytes that travel inside the stream's pictures. */
  sendSEI(data: ArrayBuffer | Uint8Array, channel = MAIN): void {
    const args: Argument[] = [
      ['data', data, 'object'],
      ['channel', channel, 'count'],
    ];
    this.call('sendSEI', args, (native) => native.sendSEI(toBytes(data), channel));
  }

  /** Both kinds are received alike; see `sendSEI`. */
  setSEIConfig(config: { type?: number | null }): void {
    const args: Argument[] = [
      ['config', config, 'object'],
      ['config.type', config?.type, 'count?'],
    ];
    this.call('setSEIConfig', args, (native) => native.setSEIConfig(config.type ?? Defines.ZegoSEIType.ZegoDefined));
  }
}

function textArguments(roomID: string, message: string): Argument[] {
  return [
    ['roomID', roomID, 'text'],
    ['message', message, 'text'],
  ];
}

function toBytes(data: ArrayBuffer | Uint8Array): Uint8Array {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Uint8Array(data);
}
