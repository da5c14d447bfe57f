import type { ZegoScreenCaptureSourceInfo } from '../ZegoExpressDefines';
import type { Calls } from './calls';
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import type { NativeEngine } from './generated/native';
import { handled } from './promises';
import { ZegoScreenCaptureSource } from './screen_capture_source';

interface SourceList {
  errorCode: number;
  message?: string;
  sources?: ZegoScreenCaptureSourceInfo[];
}

/** Prefix of the engine's events that concern a screen capture source. */
const PREFIX = 'SCREENCAPTURE_';

/** Screens and windows that can be captured. */
export class ScreenSources {
  private readonly sources = new Map<number, ZegoScreenCaptureSource>();

  constructor(private readonly calls: Calls) {}

  /** Lists all screens and windows. Rejects with code 1020001 where none can be captured. */
  getScreenCaptureSources(
    thumbnailWidth: number,
    thumbnailHeight: number,
    iconWidth: number,
    iconHeight: number,
  ): Promise<ZegoScreenCaptureSourceInfo[]> {
    const sizes = { thumbnailWidth, thumbnailHeight, iconWidth, iconHeight };
    const args = Object.entries(sizes).map(([name, value]) => [name, value, 'count'] as const);
    const answered = this.calls.request('getScreenCaptureSources', args, (native, request) => {
      const thumbnail = { width: thumbnailWidth, height: thumbnailHeight };
      native.getScreenCaptureSources(thumbnail, { width: iconWidth, height: iconHeight }, request);
    });
    const listed = answered.then((answer) => {
      const { errorCode, message, sources } = answer as unknown as SourceList;
      if (!sources) throw new ZegoError(errorCode, `getScreenCaptureSources: ${message ?? 'the engine was destroyed'}`);
      return sources;
    });
    return handled(listed);
  }

  /** Creates a source that does not capture yet. */
  createScreenCaptureSource(native: NativeEngine, sourceID: number, sourceType: number): ZegoScreenCaptureSource {
    const index = native.createScreenCaptureSource(sourceID, sourceType);
    const source: ZegoScreenCaptureSource = new ZegoScreenCaptureSource(
      (method, args, action) =>
        this.calls.run(method, args, (native) => {
          this.demandSource(source);
          return action(native);
        }),
      index,
    );
    this.sources.set(index, source);
    return source;
  }

  /** Destroys a source. A channel that shows it has no more video, and publishing continues. */
  destroyScreenCaptureSource(native: NativeEngine, source: ZegoScreenCaptureSource): void {
    this.demandSource(source);
    native.destroyScreenCaptureSource(source.getIndex());
    this.sources.delete(source.getIndex());
  }

  /** Emits an event of a source on the source as well, without the prefix and the source's index. */
  forwardEvent(name: string, payload: unknown): void {
    if (!name.startsWith(PREFIX)) return;
    const { index, ...param } = payload as { index: number };
    const event = name.slice(PREFIX.length);
    try {
      this.sources.get(index)?.emit(event, param);
    } catch (error) {
      console.error(`a listener of ${event} threw:`, error);
    }
  }

  reset(): void {
    for (const source of this.sources.values()) source.removeAllListeners();
    this.sources.clear();
  }

  /** A destroyed source, or one of an earlier engine, must not be taken for a new one with its index. */
  private demandSource(source: unknown): void {
    const isSource = source instanceof ZegoScreenCaptureSource;
    const isKnown = isSource && this.sources.get(source.getIndex())?.isSameAs(source);
    if (!isKnown) throw new ZegoError(ErrorCode.ScreenCaptureNoInstance, 'this is not a screen capture source of this engine');
  }
}
