import type { Size } from './canvas_style';

type Frame = Window & typeof globalThis;

/** Largest side of a frame on a magnified page. */
const MAX_SIDE = 4096;

/**
 * Measures the box of a canvas on the screen with its window's pixel ratio, visibility and frames. The window is updated
 * when the canvas moves to another document; outside of documents there is no box.
 */
export class Tile {
  private frame: Frame | null = null;
  private observer: ResizeObserver | undefined;
  /** The observer's last size and its layout; exact where layout sizes are rounded. */
  private exact: (Size & { layout: string }) | undefined;
  private readonly onChange = () => this.changed();
  /** Called when the box or the visibility may have changed. */
  changed: () => void = () => undefined;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  /** Whether the canvas's document is in a visible window. */
  get isOnScreen(): boolean {
    return this.currentWindow()?.document.visibilityState === 'visible';
  }

  /** Size of the box in device pixels, including transforms of the page; undefined without a box. */
  measure(): Size | undefined {
    const frame = this.currentWindow();
    const { canvas } = this;
    if (!frame || !canvas.isConnected || canvas.clientWidth === 0 || canvas.clientHeight === 0) return undefined;
    const ratio = frame.devicePixelRatio;
    const css = { width: canvas.clientWidth * ratio, height: canvas.clientHeight * ratio };
    const box = this.exact?.layout === this.layout(frame) ? this.exact : css;
    const limit = MAX_SIDE / Math.max(box.width, box.height);
    const scale = Math.max(1, Math.min(magnification(canvas, frame), limit));
    const side = (pixels: number) => Math.max(1, Math.round(pixels * scale));
    return { width: side(box.width), height: side(box.height) };
  }

  close(): void {
    this.observer?.disconnect();
    this.observer = undefined;
    this.frame?.document.removeEventListener('visibilitychange', this.onChange);
    this.frame = null;
  }

  /** The window of the canvas's document. Observers move along when it has changed. */
  private currentWindow(): Frame | null {
    const frame = this.canvas.ownerDocument.defaultView;
    if (frame === this.frame) return frame;
    this.close();
    this.exact = undefined;
    this.frame = frame;
    if (!frame) return null;
    frame.document.addEventListener('visibilitychange', this.onChange);
    // The observer must belong to the canvas's window: one of another window may never fire, or sleeps with it.
    this.observer = new frame.ResizeObserver((entries) => {
      const size = entries[entries.length - 1]?.devicePixelContentBoxSize?.[0];
      if (size) this.exact = { width: size.inlineSize, height: size.blockSize, layout: this.layout(frame) };
      this.changed();
    });
    this.observer.observe(this.canvas, { box: 'device-pixel-content-box' });
    return frame;
  }

  private layout(frame: Frame): string {
    return `${this.canvas.clientWidth} x ${this.canvas.clientHeight} at ${frame.devicePixelRatio}`;
  }
}

/**
 * Scale factor of an element beyond its layout, including the frames around it. Exact for scaling, mirroring
 * and quarter turns; up to 1.5 times too large for other rotations.
 */
function magnification(element: HTMLElement, frame: Window): number {
  const { width, height } = element.getBoundingClientRect();
  const area = element.offsetWidth * element.offsetHeight;
  const own = area > 0 ? Math.sqrt((width * height) / area) : 1;
  // Null for the outermost window and for a frame of another origin.
  const outer = frame.frameElement as HTMLElement | null;
  const outside = outer?.ownerDocument.defaultView;
  const scale = outer && outside ? own * magnification(outer, outside) : own;
  // Differences by rounding are not a magnification.
  return Math.abs(scale - 1) < 0.02 ? 1 : scale;
}
