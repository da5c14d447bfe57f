import { EventEmitter } from 'events';
import type { Argument } from './arguments';
import { bindMethods } from './bound_methods';
import ErrorCode = require('./generated/error_codes');
import { ZegoError } from './errors';
import type { NativeEngine, Rect } from './native';

/** `ZegoRect` as applications give it. */
export type ZegoRect = { [K in keyof Rect]?: number | null };

/** Runs a method of the engine; mistakes are told by `onDebugError`. */
export type Call = <T>(method: string, args: readonly Argument[], run: (native: NativeEngine) => T) => T | undefined;

const NOWHERE: Rect = { x: 0, y: 0, width: 0, height: 0 };

const rectArguments = (rect: ZegoRect): Argument[] => [
  ['rect', rect, 'object'],
  ...(['x', 'y', 'width', 'height'] as const).map((side): Argument => [`rect.${side}`, rect?.[side], 'count?']),
];
const toRect = ({ x, y, width, height }: ZegoRect): Rect => ({ x: x ?? 0, y: y ?? 0, width: width ?? 0, height: height ?? 0 });

/**
 * A window or a screen that is captured; made by `createScreenCaptureSource`. Emits `onExceptionOccurred`,
 * `onCaptureTypeExceptionOccurred`, `onWindowStateChanged` and `onRectChanged`.
 */
export class ZegoScreenCaptureSource extends EventEmitter {
  private static made = 0;
  /** Unlike the number never used again, and unlike the object the same behind a proxy. */
  private readonly identity = ++ZegoScreenCaptureSource.made;

  constructor(
    private readonly call: Call,
    private readonly index: number,
  ) {
    super();
    this.setMaxListeners(0);
    bindMethods(this);
  }

  updateCaptureSource(sourceId: number, sourceType: number): void {
    const args: Argument[] = [
      ['sourceId', sourceId, 'count'],
      ['sourceType', sourceType, 'count'],
    ];
    this.call('updateCaptureSource', args, (native) =>
      native.updateScreenCaptureSource(this.index, sourceId, sourceType),
    );
  }

  startCapture(): void {
    this.call('startCapture', [], (native) => native.startScreenCapture(this.index));
  }

  stopCapture(): void {
    this.call('stopCapture', [], (native) => native.stopScreenCapture(this.index));
  }

  /** Its place and size on the desktop, in pixels; empty if it is gone. */
  getCaptureSourceRect(): Rect {
    return this.call('getCaptureSourceRect', [], (native) => native.getCaptureSourceRect(this.index)) ?? { ...NOWHERE };
  }

  /** The part to capture, in pixels from the source's corner; all zeros are the whole. */
  updateCaptureRegion(rect: ZegoRect): void {
    this.call('updateCaptureRegion', rectArguments(rect), (native) =>
      native.updateCaptureRegion(this.index, toRect(rect)),
    );
  }

  /** The part of the captured picture to show and to send; all zeros are the whole. */
  updatePublishRegion(rect: ZegoRect): void {
    this.call('updatePublishRegion', rectArguments(rect), (native) =>
      native.updatePublishRegion(this.index, toRect(rect)),
    );
  }

  /** IDs of windows that are painted over where a screen is captured. */
  setExcludeWindowList(list: number[]): void {
    const items = Array.isArray(list) ? list.map((window, at): Argument => [`list[${at}]`, window, 'count']) : [];
    this.call('setExcludeWindowList', [['list', list, 'list'], ...items], (native) =>
      native.setExcludeWindowList(this.index, [...list]),
    );
  }

  /** Whether a window comes to the front when its capture begins. */
  enableWindowActivate(active: boolean): void {
    this.call('enableWindowActivate', [['active', active, 'flag']], (native) =>
      native.enableWindowActivate(this.index, active),
    );
  }

  enableCursorVisible(visible: boolean): void {
    this.call('enableCursorVisible', [['visible', visible, 'flag']], (native) =>
      native.enableCursorVisible(this.index, visible),
    );
  }

  /** There is no frame around what is captured: switching one on is told by `onDebugError` with code 1020050. */
  enableHightLight(enable: boolean, config?: object | null): void {
    this.unavailable('enableHightLight', 'a frame around the source', enable, ['config', config, 'object?']);
  }

  /** The system's sound is not captured: switching it on is told by `onDebugError` with code 1020050. */
  enableAudioCaptureWithConfig(enable: boolean, config?: object | null): void {
    this.unavailable('enableAudioCaptureWithConfig', "the system's sound", enable, ['config', config, 'object?']);
  }

  /** As {@link enableAudioCaptureWithConfig}. */
  enableAudioCapture(enable: boolean, audioParam?: object | null): void {
    this.unavailable('enableAudioCapture', "the system's sound", enable, ['audioParam', audioParam, 'object?']);
  }

  /** Whether both are the same source; one of them may be a proxy of it. */
  isSameAs(other: ZegoScreenCaptureSource): boolean {
    return other.identity === this.identity;
  }

  /** What `setVideoSource` takes as instance ID. */
  getIndex(): number {
    return this.index;
  }

  /** The address of the vendor's native plug-in; there is none. */
  getCustomVideoCapturePlugin(): number {
    return 0;
  }

  private unavailable(method: string, what: string, enable: boolean, option: Argument): void {
    this.call(method, [['enable', enable, 'flag'], option], () => {
      if (enable) throw new ZegoError(ErrorCode.ScreenCaptureNotSupportedError, `${what} is not available`);
    });
  }
}
