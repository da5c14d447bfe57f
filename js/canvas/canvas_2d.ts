import type { Brush } from './painter';

/**
 * Draws frames by `putImageData`, which is cheapest without a GPU.
 *
 * `desynchronized` bypasses the page's own rendering, which halves the cost in all processes.
 */
export class Canvas2D implements Brush {
  constructor(private readonly context: CanvasRenderingContext2D) {}

  /** Undefined if the canvas has a context of another kind. */
  static on(canvas: HTMLCanvasElement, desynchronized: boolean): Canvas2D | undefined {
    const context = canvas.getContext('2d', { alpha: false, desynchronized });
    return context ? new Canvas2D(context) : undefined;
  }

  prepare(colour: string): void {
    const { context } = this;
    context.fillStyle = colour;
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  }

  put(image: ImageData, x: number, y: number): void {
    this.context.putImageData(image, x, y);
  }

  keep(wipe: () => boolean): void {
    const { canvas } = this.context;
    if (canvas.width === 0 || canvas.height === 0) return void wipe();
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    copy.getContext('2d', { alpha: false })?.drawImage(canvas, 0, 0);
    if (wipe()) this.context.drawImage(copy, 0, 0, canvas.width, canvas.height);
  }
}
