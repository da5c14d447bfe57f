/** `object-fit` of each `ZegoViewMode`. */
const OBJECT_FIT = ['contain', 'cover', 'fill'] as const;
const SIDES = ['width', 'height'] as const;
/** Size of a canvas without attributes. */
const DEFAULT_SIZE: Size = { width: 300, height: 150 };

export interface Size {
  width: number;
  height: number;
}

interface Change {
  before: string;
  priority: string;
  set: string;
}

/**
 * The inline styles and size attributes that a view sets on the application's canvas, and their restoration.
 *
 * While a view is on, the attributes are the box in device pixels, as with the vendor: an application that reads
 * them reads the box, and one that writes them resizes the box.
 */
export class CanvasStyle {
  private readonly changes = new Map<string, Change>();
  private readonly hadStyle: boolean;
  /** The application's own size attributes. */
  private readonly attributes: Record<'width' | 'height', string | null>;
  /** Size of our bitmap; undefined before the first frame. */
  private bitmap: Size | undefined;
  private pinned = false;
  /** Whether the box, or its shape, depends on the attributes. */
  private sizedByAttributes = false;
  private readonly observer: MutationObserver;

  /** `written` is called when the application has set a size attribute, which also clears the bitmap. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly written: () => void,
  ) {
    this.hadStyle = canvas.hasAttribute('style');
    this.attributes = { width: canvas.getAttribute('width'), height: canvas.getAttribute('height') };
    this.observer = new MutationObserver((records) => this.adopt(records));
    this.observer.observe(canvas, { attributes: true, attributeFilter: [...SIDES] });
  }

  setAppearance(mode: number, colour: string): void {
    this.set('object-fit', OBJECT_FIT[mode] ?? OBJECT_FIT[0]);
    this.set('background-color', colour);
  }

  /** The size in the application's attributes; undefined without any. */
  get given(): Size | undefined {
    const { width, height } = this.attributes;
    return width === null && height === null ? undefined : this.meant();
  }

  /** Resizes the bitmap, which clears it, without changing the page's layout. */
  resizeBitmap(size: Size): void {
    this.adoptWritten();
    this.pin();
    this.write(size);
    this.bitmap = size;
    this.observer.takeRecords();
  }

  /** Adopts attributes that the application has set since the last observation. */
  adoptWritten(): void {
    const records = this.observer.takeRecords();
    if (records.length > 0) this.adopt(records);
  }

  /** Keeps the box of a canvas without a CSS size, once its attributes are ours. */
  keepBox(): void {
    if (this.bitmap) this.pin();
  }

  /**
   * Sets the box as a style, as soon as there is one: without a CSS size the box depends on the attributes, which are
   * about to become the bitmap's size. A canvas sized by CSS needs nothing.
   */
  private pin(): void {
    const { canvas } = this;
    if (this.pinned || canvas.clientWidth === 0 || canvas.clientHeight === 0) return;
    const present = { width: canvas.width, height: canvas.height };
    const meant = this.meant();
    const measure = (size: Size) => {
      this.write(size);
      return canvas.getBoundingClientRect();
    };
    const before = measure(meant);
    if (before.width > 0 && before.height > 0) {
      this.pinned = true;
      const computed = canvas.ownerDocument.defaultView?.getComputedStyle(canvas).width ?? '';
      const after = measure({ width: meant.width * 2, height: meant.height * 3 });
      this.sizedByAttributes = Math.abs(after.width - before.width) + Math.abs(after.height - before.height) > 0.5;
      if (this.sizedByAttributes) {
        this.set('aspect-ratio', `${meant.width} / ${meant.height}`);
        const scaled = measure({ width: meant.width * 2, height: meant.height * 2 });
        if (Math.abs(scaled.width - before.width) > 0.5) this.set('width', computed);
      }
    }
    this.write(present);
    this.observer.takeRecords();
  }

  /** Restores styles and attributes, except values that the application has changed. Returns whether the bitmap was cleared. */
  restore(): boolean {
    this.adoptWritten();
    this.observer.disconnect();
    for (const property of [...this.changes.keys()]) this.unset(property);
    // Reading updates the attribute, without which an empty one would remain.
    if (!this.hadStyle && this.canvas.getAttribute('style') === '') this.canvas.removeAttribute('style');
    const stale = SIDES.filter((side) => this.canvas.getAttribute(side) !== this.attributes[side]);
    for (const side of stale) {
      const value = this.attributes[side];
      if (value === null) this.canvas.removeAttribute(side);
      else this.canvas.setAttribute(side, value);
    }
    return stale.length > 0;
  }

  /** Adopts size attributes that the application has set while the view is on: they resize the box. */
  private adopt(records: readonly MutationRecord[]): void {
    const { canvas, bitmap } = this;
    const present = { width: canvas.width, height: canvas.height };
    const meant = this.meant();
    for (const side of SIDES) {
      if (!records.some(({ attributeName }) => attributeName === side)) continue;
      const value = canvas.getAttribute(side);
      const isSame = bitmap !== undefined && canvas[side] === bitmap[side];
      if (value !== null && isSame) continue;
      // The application reads device pixels, so it writes device pixels too.
      const ratio = this.sizedByAttributes && bitmap && value !== null ? bitmap[side] / meant[side] : 1;
      this.attributes[side] = ratio === 1 ? value : String(Math.round(canvas[side] / ratio));
    }
    if (this.sizedByAttributes) {
      this.unset('width');
      this.unset('aspect-ratio');
      this.pinned = this.sizedByAttributes = false;
      this.pin();
    }
    if (bitmap) this.bitmap = present;
    this.observer.takeRecords();
    this.written();
  }

  /** The application's attributes as numbers, parsed as browsers do. */
  private meant(): Size {
    const read = (side: 'width' | 'height') => {
      const value = Number.parseInt(this.attributes[side] ?? '', 10);
      return Number.isNaN(value) || value < 0 ? DEFAULT_SIZE[side] : value;
    };
    return { width: read('width'), height: read('height') };
  }

  private write({ width, height }: Size): void {
    this.canvas.width = width;
    this.canvas.height = height;
  }

  private set(property: string, value: string): void {
    const { style } = this.canvas;
    const known = this.changes.get(property);
    const before = known?.before ?? style.getPropertyValue(property);
    const priority = known?.priority ?? style.getPropertyPriority(property);
    style.setProperty(property, value);
    // Read back, because the browser normalises values.
    this.changes.set(property, { before, priority, set: style.getPropertyValue(property) });
  }

  private unset(property: string): void {
    const { style } = this.canvas;
    const change = this.changes.get(property);
    this.changes.delete(property);
    if (!change || style.getPropertyValue(property) !== change.set) return;
    if (change.before === '') style.removeProperty(property);
    else style.setProperty(property, change.before, change.priority);
  }
}
