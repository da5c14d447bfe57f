/** A box in device pixels; 0 x 0 while nothing of it can be seen. */
export interface TileSize {
  width: number;
  height: number;
}

const HIDDEN: TileSize = { width: 0, height: 0 };

/** Follows the box of a canvas on the screen: CSS size, device pixel ratio, visibility of the page. */
export class Tile {
  private readonly observer: ResizeObserver;
  private box: TileSize;
  private readonly onVisibility = () => this.tell();
  private nextFrame: number;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly changed: (size: TileSize) => void,
  ) {
    this.box = measure(canvas);
    this.observer = new ResizeObserver((entries) => {
      const exact = entries[entries.length - 1]?.devicePixelContentBoxSize?.[0];
      this.box = exact ? { width: exact.inlineSize, height: exact.blockSize } : measure(canvas);
      this.tell();
    });
    this.observer.observe(canvas, { box: 'device-pixel-content-box' });
    document.addEventListener('visibilitychange', this.onVisibility);
    // The observer takes 0 x 0 as known: it is silent about a canvas that is hidden before it looked for the first
    // time, which it does at the end of a frame.
    this.nextFrame = requestAnimationFrame(() => {
      this.nextFrame = requestAnimationFrame(() => {
        if (measure(canvas).width > 0) return;
        this.box = HIDDEN;
        this.tell();
      });
    });
  }

  get size(): TileSize {
    return document.visibilityState === 'hidden' ? HIDDEN : this.box;
  }

  close(): void {
    cancelAnimationFrame(this.nextFrame);
    this.observer.disconnect();
    document.removeEventListener('visibilitychange', this.onVisibility);
  }

  private tell(): void {
    if (!this.canvas.isConnected) this.box = HIDDEN;
    this.changed(this.size);
  }
}

function measure(canvas: HTMLCanvasElement): TileSize {
  const ratio = window.devicePixelRatio;
  return { width: Math.round(canvas.clientWidth * ratio), height: Math.round(canvas.clientHeight * ratio) };
}
