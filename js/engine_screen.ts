import type { Argument } from './arguments';
import { EngineVideo } from './engine_video';
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import { ZegoScreenCaptureSource } from './screen_capture_source';

/** `ZegoScreenCaptureSourceInfo`; the images are PNG in base64. */
export interface ScreenCaptureSourceInfo {
  sourceType: number;
  sourceID: number;
  sourceName: string;
  thumbnailImage: { buffer: string; width: number; height: number };
  iconImage: { buffer: string; width: number; height: number };
}

interface SourceList {
  errorCode: number;
  message?: string;
  sources?: ScreenCaptureSourceInfo[];
}

/** What events of screen capture sources begin with on the engine. */
const PREFIX = 'SCREENCAPTURE_';

/** The calls about screens and windows to share. */
export abstract class EngineScreen extends EngineVideo {
  private readonly screenSources = new Map<number, ZegoScreenCaptureSource>();

  /** All screens and windows. Rejects with code 1020001 where none can be captured. */
  getScreenCaptureSources(
    thumbnailWidth: number,
    thumbnailHeight: number,
    iconWidth: number,
    iconHeight: number,
  ): Promise<ScreenCaptureSourceInfo[]> {
    const args: Argument[] = [
      ['thumbnailWidth', thumbnailWidth, 'count'],
      ['thumbnailHeight', thumbnailHeight, 'count'],
      ['iconWidth', iconWidth, 'count'],
      ['iconHeight', iconHeight, 'count'],
    ];
    const asked = this.ask('getScreenCaptureSources', args, (native, request) => {
      const thumbnail = { width: thumbnailWidth, height: thumbnailHeight };
      native.getScreenCaptureSources(thumbnail, { width: iconWidth, height: iconHeight }, request);
    });
    const listed = asked.then((answer) => {
      const { errorCode, message, sources } = answer as unknown as SourceList;
      if (!sources) throw new ZegoError(errorCode, `getScreenCaptureSources: ${message ?? 'the engine is gone'}`);
      return sources;
    });
    // A promise that an application drops must not end its process.
    listed.catch(() => undefined);
    return listed;
  }

  /** A source that does not capture yet; `null` if it cannot be made, which `onDebugError` explains. */
  createScreenCaptureSource(sourceId: number, sourceType: number): ZegoScreenCaptureSource | null {
    const args: Argument[] = [
      ['sourceId', sourceId, 'count'],
      ['sourceType', sourceType, 'count'],
    ];
    const index = this.call('createScreenCaptureSource', args, (native) =>
      native.createScreenCaptureSource(sourceId, sourceType),
    );
    if (index === undefined) return null;
    const source: ZegoScreenCaptureSource = new ZegoScreenCaptureSource(
      (method, given, run) =>
        this.call(method, given, (native) => {
          this.demandScreenSource(source);
          return run(native);
        }),
      index,
    );
    this.screenSources.set(index, source);
    return source;
  }

  /** A channel that shows it has no more pictures; what it publishes goes on. */
  destroyScreenCaptureSource(source: ZegoScreenCaptureSource): void {
    this.call('destroyScreenCaptureSource', [['source', source, 'object']], (native) => {
      this.demandScreenSource(source);
      native.destroyScreenCaptureSource(source.getIndex());
      this.screenSources.delete(source.getIndex());
    });
  }

  /** One that was destroyed, or is an earlier engine's, must not pass for another with its number. */
  private demandScreenSource(source: unknown): void {
    const isSource = source instanceof ZegoScreenCaptureSource;
    const isKnown = isSource && this.screenSources.get(source.getIndex())?.isSameAs(source);
    if (!isKnown) throw new ZegoError(ErrorCode.ScreenCaptureNoInstance, 'that is no screen capture source, or no longer');
  }

  /** An event of a source goes to the source as well, under its own name and without the source's number. */
  protected tellScreenSource(name: string, payload: unknown): void {
    if (!name.startsWith(PREFIX)) return;
    const { index, ...param } = payload as { index: number };
    const source = this.screenSources.get(index);
    try {
      source?.emit(name.slice(PREFIX.length), param);
    } catch (error) {
      console.error(`a listener of ${name.slice(PREFIX.length)} threw:`, error);
    }
  }

  protected forgetScreenSources(): void {
    for (const source of this.screenSources.values()) source.removeAllListeners();
    this.screenSources.clear();
  }
}
