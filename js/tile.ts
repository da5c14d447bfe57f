import type { Size } from './canvas_style';

type Frame = Window & typeof globalThis;

/** No picture is made larger than this for a page that magnifies it. */
const MAX_SIDE = 4096;

/**
 * Follows the box of a canvas on the screen, in the document in which it is: its window's pixel ratio, visibility and
 * frames, found anew when the canvas moves. Off the page it has no box.
 */
export class Tile {
  private frame: Frame | null = null;
  private observer: ResizeObserver | undefined;
  /** What the observer said last, and for which layout: it is exact where fractions of pixels are rounded. */
  private exact: (Size & { layout: string }) | undefined;
  private readonly onChange = () => this.changed();
  /** Called when it may have another box or another visibility. */
  changed: () => void = () => undefined;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  /** Whether the document is in a window, and that window on a screen. */
  get isOnScreen(): boolean {
    return this.follow()?.document.visibilityState === 'visible';
  }

  /** Device pixels that the box covers, transforms of the page counted; nothing if it has no box. */
  measure(): Size | undefined {
    const frame = this.follow();
    const { canvas } = this;
    if (!frame || !canvas.isConnected || canvas.clientWidth === 0 || canvas.clientHeight === 0) return undefined;
    const ratio = frame.devicePixelRatio;
    const css = { width: canvas.clientWidth * ratio, height: canvas.clientHeight * ratio };
    const box = this.exact?.layout === this.layout(frame) ? this.exact : css;
    const most = MAX_SIDE / Math.max(box.width, box.height);
    const scale = Math.max(1, Math.min(magnification(canvas, frame), most));
    const side = (pixels: number) => Math.max(1, Math.round(pixels * scale));
    return { width: side(box.width), height: side(box.height) };
  }

  close(): void {
    this.observer?.disconnect();
    this.observer = undefined;
    this.frame?.document.removeEventListener('visibilitychange', this.onChange);
    this.frame = null;
  }

  /** The window of the canvas's document; one that was closed, or whose frame was removed, is let go of. */
  private follow(): Frame | null {
    const frame = this.canvas.ownerDocument.defaultView;
    if (frame === this.frame) return frame;
    this.close();
    this.exact = undefined;
    this.frame = frame;
    if (!frame) return null;
    frame.document.addEventListener('visibilitychange', this.onChange);
    // Each window looks after its own boxes: another's observer never settles, or sleeps with its window.
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
 * By how much the page magnifies an element beyond its layout, with the frames around it. Exact for scaling, mirroring
 * and quarter turns; too much by at most a half for other turns.
 */
function magnification(element: HTMLElement, frame: Window): number {
  const { width, height } = element.getBoundingClientRect();
  const area = element.offsetWidth * element.offsetHeight;
  const own = area > 0 ? Math.sqrt((width * height) / area) : 1;
  // Nothing for the outermost window and for a frame of another origin.
  const outer = frame.frameElement as HTMLElement | null;
  const outside = outer?.ownerDocument.defaultView;
  const scale = outer && outside ? own * magnification(outer, outside) : own;
  // A rounded layout is not a magnification.
  return Math.abs(scale - 1) < 0.02 ? 1 : scale;
}
