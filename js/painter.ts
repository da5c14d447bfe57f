import { Canvas2D } from './canvas_2d';
import { CanvasStyle, type Size } from './canvas_style';
import { CanvasWebGL } from './canvas_webgl';

export interface Look {
  /** `ZegoViewMode`. */
  mode: number;
  /** 0xRRGGBB. */
  backgroundColor: number;
}

/** A way to bring pictures onto a canvas. */
export interface Brush {
  /** The bitmap has a new size and is empty: its background, `#rrggbb`. */
  prepare(colour: string): void;
  put(image: ImageData, x: number, y: number): void;
  /** The last act: whatever `wipe` wipes (it says whether it did) is drawn again. */
  keep(wipe: () => boolean): void;
}

/** Slots of a ring; as many as in `src/frame_ring.rs`. */
const SLOTS = 3;
const BYTES_PER_PIXEL = 4;
/** JavaScript engines keep arrays of few bytes where their garbage collector moves them. */
const LEAST_BUFFER = 256;
const FIT = 0;

type SlotBuffer = Uint8ClampedArray<ArrayBuffer>;

/** Throws when the canvas can be drawn on in no way. */
export function brushFor(canvas: HTMLCanvasElement, desynchronized: boolean): Brush {
  const brush = Canvas2D.on(canvas, desynchronized) ?? CanvasWebGL.on(canvas);
  if (!brush) throw new Error('the canvas has a context that is neither 2d nor webgl, or was handed to an OffscreenCanvas');
  return brush;
}

/**
 * Draws the slots of a ring on a canvas. The native side made the pictures as large as they appear; here they get
 * their place in the box, and the bars beside them.
 */
export class Painter {
  readonly style: CanvasStyle;
  private images: ImageData[] = [];
  private look: Look = { mode: FIT, backgroundColor: 0 };
  private colour = '#000000';
  /** The bitmap, and whether it has to be made anew although it has the right size. */
  private bitmap: Size | undefined;
  private isStale = true;

  /** `wiped`: the application wiped the picture away. */
  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly brush: Brush,
    look: Look,
    wiped: () => void,
  ) {
    this.style = new CanvasStyle(canvas, () => {
      this.isStale = true;
      wiped();
    });
    this.setLook(look);
  }

  setLook(look: Look): void {
    this.look = look;
    this.colour = `#${(look.backgroundColor & 0xffffff).toString(16).padStart(6, '0')}`;
    this.style.setLook(look.mode, this.colour);
    this.isStale = true;
  }

  /** Makes buffers for pictures of that size. They must never be transferred: native threads write into them. */
  makeRing(width: number, height: number): SlotBuffer[] {
    const bytes = width * height * BYTES_PER_PIXEL;
    const room = Math.max(bytes, LEAST_BUFFER);
    const buffers = Array.from({ length: SLOTS }, (): SlotBuffer => new Uint8ClampedArray(new ArrayBuffer(room), 0, bytes));
    this.images = buffers.map((buffer) => new ImageData(buffer, width, height));
    this.isStale = true;
    return buffers;
  }

  /** `box`: the pixels that the canvas covers, or nothing if it shall have those of the picture. */
  draw(slot: number, box: Size | undefined): void {
    const image = this.images[slot];
    if (!image) return;
    this.style.takeWritten();
    const size = this.sizeFor(image, box);
    if (this.isStale || size.width !== this.bitmap?.width || size.height !== this.bitmap.height) {
      this.style.resizeBitmap(size);
      this.brush.prepare(this.colour);
      this.bitmap = size;
      this.isStale = false;
    }
    this.brush.put(image, (size.width - image.width) >> 1, (size.height - image.height) >> 1);
  }

  /** Gives the canvas back: styles and attributes as they were, with the last picture on it. */
  close(): void {
    this.images = [];
    this.brush.keep(() => this.style.restore());
  }

  /** A picture that was made for another box waits in that one for the next, and the compositor scales it. */
  private sizeFor({ width, height }: ImageData, box: Size | undefined): Size {
    if (!box) return { width, height };
    const isWhole = width === box.width && height === box.height;
    const touches = width <= box.width && height <= box.height && (width === box.width || height === box.height);
    const fits = this.look.mode === FIT ? touches : isWhole;
    return fits ? box : (this.bitmap ?? box);
  }
}
