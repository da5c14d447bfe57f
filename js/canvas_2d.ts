import { CanvasStyle } from './canvas_style';

export interface Look {
  /** `ZegoViewMode`. */
  mode: number;
  /** 0xRRGGBB. */
  backgroundColor: number;
}

/** Slots of a ring; as many as in `src/frame_ring.rs`. */
const SLOTS = 3;
const BYTES_PER_PIXEL = 4;

type SlotBuffer = Uint8ClampedArray<ArrayBuffer>;

/**
 * Draws the slots of a ring on a canvas by `putImageData`, the cheapest way without a GPU; the compositor scales.
 *
 * `desynchronized` lets the picture past the page's own rendering, which halves the cost in all processes.
 */
export class Canvas2D {
  private readonly context: CanvasRenderingContext2D;
  private readonly style: CanvasStyle;
  private images: ImageData[] = [];
  private width = 0;
  private height = 0;
  private colour = '#000000';

  /** Throws when the canvas cannot be drawn on in 2D, because it has a context of another kind. */
  constructor(
    readonly canvas: HTMLCanvasElement,
    look: Look,
    desynchronized: boolean,
  ) {
    const context = canvas.getContext('2d', { alpha: false, desynchronized });
    if (!context) throw new Error('the canvas already has a context of another kind, for example webgl');
    this.context = context;
    this.style = new CanvasStyle(canvas);
    this.setLook(look);
  }

  setLook(look: Look): void {
    this.colour = `#${(look.backgroundColor & 0xffffff).toString(16).padStart(6, '0')}`;
    this.style.setLook(look.mode, this.colour);
  }

  /** Makes buffers for pictures of that size. They must never be transferred: native threads write into them. */
  makeRing(width: number, height: number): SlotBuffer[] {
    const bytes = width * height * BYTES_PER_PIXEL;
    const buffers = Array.from({ length: SLOTS }, (): SlotBuffer => new Uint8ClampedArray(bytes));
    this.images = buffers.map((buffer) => new ImageData(buffer, width, height));
    this.width = width;
    this.height = height;
    this.style.resizeBitmap(width, height);
    return buffers;
  }

  draw(slot: number): void {
    const image = this.images[slot];
    if (!image) return;
    this.style.adoptAttributes(this.width, this.height);
    this.context.putImageData(image, 0, 0);
  }

  /** Gives the canvas back: styles and attributes as they were, the picture cleared to the background. */
  close(): void {
    this.images = [];
    this.style.restore();
    // Setting the attribute, even to the same value, resets the context's transform and clip.
    this.context.fillStyle = this.colour;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }
}
