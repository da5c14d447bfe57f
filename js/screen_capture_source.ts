import { EventEmitter } from 'events';
import type { ZegoLayerBorderConfig, ZegoAudioFrameParam, ZegoRect, ZegoScreenCaptureAudioConfig } from '../ZegoExpressDefines';
import { list, type Argument } from './arguments';
import { bindMethods } from './bound_methods';
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import type { NativeEngine, NativeRect } from './generated/native';
import { SHAPES } from './generated/shapes';

/** Runs a method of the engine; mistakes are reported by `onDebugError`. */
type Call = <T>(method: string, args: readonly Argument[], action: (native: NativeEngine) => T) => T | undefined;

const EMPTY_RECT: NativeRect = { x: 0, y: 0, width: 0, height: 0 };
const toNativeRect = ({ x, y, width, height }: ZegoRect): NativeRect => ({
  x: x ?? 0,
  y: y ?? 0,
  width: width ?? 0,
  height: height ?? 0,
});

/**
 * A window or a screen that can be captured, created by `createScreenCaptureSource`. Emits `onExceptionOccurred`,
 * `onCaptureTypeExceptionOccurred`, `onWindowStateChanged` and `onRectChanged`.
 */
export class ZegoScreenCaptureSource extends EventEmitter {
  private static count = 0;
  /** Unlike the index never reused, and unlike the object the same through a proxy. */
  private readonly identity = ++ZegoScreenCaptureSource.count;

  constructor(
    private readonly call: Call,
    private readonly index: number,
  ) {
    super();
    this.setMaxListeners(0);
    bindMethods(this);
  }

  /** Captures another screen or window from now on. */
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

  /** Position and size on the desktop, in pixels; empty if the source no longer exists. */
  getCaptureSourceRect(): NativeRect {
    return this.call('getCaptureSourceRect', [], (native) => native.getCaptureSourceRect(this.index)) ?? { ...EMPTY_RECT };
  }

  /** Sets the captured part, in pixels from the source's corner; all zeros for the whole. */
  updateCaptureRegion(rect: ZegoRect): void {
    this.call('updateCaptureRegion', [['rect', rect, SHAPES.ZegoRect]], (native) =>
      native.updateCaptureRegion(this.index, toNativeRect(rect)),
    );
  }

  /** Sets the part of captured frames to show and send; all zeros for the whole. */
  updatePublishRegion(rect: ZegoRect): void {
    this.call('updatePublishRegion', [['rect', rect, SHAPES.ZegoRect]], (native) =>
      native.updatePublishRegion(this.index, toNativeRect(rect)),
    );
  }

  /** Sets the IDs of windows to hide while a screen is captured. */
  setExcludeWindowList(windows: number[]): void {
    this.call('setExcludeWindowList', [['list', windows, list('count')]], (native) =>
      native.setExcludeWindowList(this.index, [...windows]),
    );
  }

  /** Sets whether a window is brought to the front when its capture starts. */
  enableWindowActivate(active: boolean): void {
    this.call('enableWindowActivate', [['active', active, 'flag']], (native) =>
      native.enableWindowActivate(this.index, active),
    );
  }

  /** Sets whether the pointer is captured. */
  enableCursorVisible(visible: boolean): void {
    this.call('enableCursorVisible', [['visible', visible, 'flag']], (native) =>
      native.enableCursorVisible(this.index, visible),
    );
  }

  /** No border is drawn around the source: enabling it is reported by `onDebugError` with code 1020050. */
  enableHightLight(enable: boolean, config?: ZegoLayerBorderConfig | null): void {
    this.reportUnavailable('enableHightLight', 'a border around the source', enable, ['config', config, 'object?']);
  }

  /** System audio is not captured: enabling it is reported by `onDebugError` with code 1020050. */
  enableAudioCaptureWithConfig(enable: boolean, config?: ZegoScreenCaptureAudioConfig | null): void {
    this.reportUnavailable('enableAudioCaptureWithConfig', 'system audio', enable, ['config', config, 'object?']);
  }

  /** See {@link enableAudioCaptureWithConfig}. */
  enableAudioCapture(enable: boolean, audioParam?: ZegoAudioFrameParam | null): void {
    this.reportUnavailable('enableAudioCapture', 'system audio', enable, ['audioParam', audioParam, 'object?']);
  }

  /** Whether both are the same source; either may be a proxy. */
  isSameAs(other: ZegoScreenCaptureSource): boolean {
    return other.identity === this.identity;
  }

  /** The instance ID for `setVideoSource`. */
  getIndex(): number {
    return this.index;
  }

  /** The address of a native plug-in, of which there is none. */
  getCustomVideoCapturePlugin(): number {
    return 0;
  }

  private reportUnavailable(method: string, feature: string, enable: boolean, option: Argument): void {
    this.call(method, [['enable', enable, 'flag'], option], () => {
      if (enable) throw new ZegoError(ErrorCode.ScreenCaptureNotSupportedError, `${feature} is not available`);
    });
  }
}
