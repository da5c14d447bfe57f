import type { ZegoView } from '../ZegoExpressDefines';
import { Views } from './canvas/views';
import type { NativeEngine } from './generated/native';
import type { Reporter } from './reporter';
import type { Settings } from './settings';

/** The canvases of an engine: starts streams on them, and draws what the native part delivers. */
export class Canvases {
  private views: Views | undefined;

  constructor(
    private readonly reporter: Reporter,
    private readonly settings: Settings,
  ) {}

  attach(native: NativeEngine): void {
    this.views ??= new Views(native);
  }

  /** Starts a stream on a canvas. If the canvas cannot be used, that is reported and the stream starts without it. */
  start(
    method: string,
    stream: string,
    view: ZegoView | null | undefined,
    start: (view: number | undefined) => void,
  ): void {
    let isStarted = false;
    try {
      this.views?.open(stream, view, this.settings.desynchronized, (id) => {
        isStarted = true;
        start(id);
      });
    } catch (thrown) {
      if (isStarted) throw thrown;
      this.reporter.reportThrown(method, thrown);
      this.views?.open(stream, null, false, start);
    }
  }

  /** Gives the canvas of a stream back to the application. */
  stop(stream: string): void {
    this.views?.close(stream);
  }

  stopAll(): void {
    this.views?.closeAll();
  }

  /** Gives a canvas back after the engine has released its view. */
  release(view: number): void {
    this.views?.release(view);
  }

  /** Handles the native part's request for a ring (slot -1) or for drawing a slot. */
  wake(view: number, slot: number, width: number, height: number): void {
    if (slot >= 0) this.views?.draw(view, slot);
    else this.views?.makeRing(view, width, height);
  }
}
