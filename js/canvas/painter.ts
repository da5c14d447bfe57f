import { Canvas2D } from './canvas_2d';
import { CanvasStyle, type Size } from './canvas_style';
import { CanvasWebGL } from './canvas_webgl';

export interface Appearance {
  /** `ZegoViewMode`. */
  mode: number;
  /** 0xRRGGBB. */
  backgroundColor: number;
}

/** Draws frames on a canvas by one kind of context. */
export interface Brush {
  /** Fills a bitmap of a new size with the background, `#rrggbb`. */
  prepare(colour: string): void;
  put(image: ImageData, x: number, y: number): void;
  /** Called last: draws the frame again if `wipe`, which returns whether it did, has cleared the bitmap. */
  keep(wipe: () => boolean): void;
}

/** Slots of a ring, as in `src/frame_ring.rs`. */
const SLOTS = 3;
const BYTES_PER_PIXEL = 4;
/** Smallest buffer; V8's garbage collector may move smaller ones. */
const MIN_BUFFER_BYTES = 256;
const FIT = 0;

type SlotBuffer = Uint8ClampedArray<ArrayBuffer>;

/** The brush for a canvas. Throws when the canvas cannot be drawn on. */
export function brushFor(canvas: HTMLCanvasElement, desynchronized: boolean): Brush {
  const brush = Canvas2D.on(canvas, desynchronized) ?? CanvasWebGL.on(canvas);
  if (!brush) throw new Error('the canvas has a context that is neither 2d nor webgl, or was handed to an OffscreenCanvas');
  return brush;
}

/**
 * Draws the slots of a ring on a canvas. The native part has scaled the frames to their size on the screen; here they are
 * placed in the box with bars beside them.
 */
export class Painter {
  readonly style: CanvasStyle;
  private images: ImageData[] = [];
  private appearance: Appearance = { mode: FIT, backgroundColor: 0 };
  private colour = '#000000';
  /** Size of the bitmap, and whether it must be prepared again although its size is right. */
  private bitmap: Size | undefined;
  private isStale = true;

  /** `wiped` is called when the application has cleared the canvas. */
  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly brush: Brush,
    appearance: Appearance,
    wiped: () => void,
  ) {
    this.style = new CanvasStyle(canvas, () => {
      this.isStale = true;
      wiped();
    });
    this.setAppearance(appearance);
  }

  setAppearance(appearance: Appearance): void {
    this.appearance = appearance;
    this.colour = `#${(appearance.backgroundColor & 0xffffff).toString(16).padStart(6, '0')}`;
    this.style.setAppearance(appearance.mode, this.colour);
    this.isStale = true;
  }

  /** Creates buffers for frames of that size. They must never be transferred: native threads write into them. */
  makeRing(width: number, height: number): SlotBuffer[] {
    const bytes = width * height * BYTES_PER_PIXEL;
    const capacity = Math.max(bytes, MIN_BUFFER_BYTES);
    const buffers = Array.from({ length: SLOTS }, (): SlotBuffer => new Uint8ClampedArray(new ArrayBuffer(capacity), 0, bytes));
    this.images = buffers.map((buffer) => new ImageData(buffer, width, height));
    this.isStale = true;
    return buffers;
  }

  /** Draws a slot. `box`: the device pixels of the canvas, or undefined for the frame's size. */
  draw(slot: number, box: Size | undefined): void {
    const image = this.images[slot];
    if (!image) return;
    this.style.adoptWritten();
    const size = this.sizeFor(image, box);
    if (this.isStale || size.width !== this.bitmap?.width || size.height !== this.bitmap.height) {
      this.style.resizeBitmap(size);
      this.brush.prepare(this.colour);
      this.bitmap = size;
      this.isStale = false;
    }
    this.brush.put(image, (size.width - image.width) >> 1, (size.height - image.height) >> 1);
  }

  /** Restores the canvas's styles and attributes, with the last frame on it. */
  close(): void {
    this.images = [];
    this.brush.keep(() => this.style.restore());
  }

  /** The bitmap's size. A frame of another box keeps the former one until the next frame, scaled by the compositor. */
  private sizeFor({ width, height }: ImageData, box: Size | undefined): Size {
    if (!box) return { width, height };
    const isWhole = width === box.width && height === box.height;
    const touches = width <= box.width && height <= box.height && (width === box.width || height === box.height);
    const fits = this.appearance.mode === FIT ? touches : isWhole;
    return fits ? box : (this.bitmap ?? box);
  }
}
