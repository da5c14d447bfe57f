/** `ZegoViewMode` as the compositor's own scaling. */
const OBJECT_FIT = ['contain', 'cover', 'fill'] as const;
const SIDES = ['width', 'height'] as const;
/** Size of a canvas whose attributes say nothing. */
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
 * The inline styles and size attributes that a view puts on the application's canvas, and how they go back.
 *
 * While a view is on, the attributes are the box in device pixels, as the vendor has it: an application that reads
 * them reads the box, and one that writes them means the box.
 */
export class CanvasStyle {
  private readonly changes = new Map<string, Change>();
  private readonly hadStyle: boolean;
  /** The size attributes as the application gave them last. */
  private readonly attributes: Record<'width' | 'height', string | null>;
  /** Pixels of the bitmap that we gave it; nothing before the first picture. */
  private bitmap: Size | undefined;
  private pinned = false;
  /** The box, or its shape, follows from the attributes. */
  private sizedByAttributes = false;
  private readonly observer: MutationObserver;

  /** `written`: the application wrote a size attribute, which also wiped the picture. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly written: () => void,
  ) {
    this.hadStyle = canvas.hasAttribute('style');
    this.attributes = { width: canvas.getAttribute('width'), height: canvas.getAttribute('height') };
    this.observer = new MutationObserver((records) => this.adopt(records));
    this.observer.observe(canvas, { attributes: true, attributeFilter: [...SIDES] });
  }

  setLook(mode: number, colour: string): void {
    this.set('object-fit', OBJECT_FIT[mode] ?? OBJECT_FIT[0]);
    this.set('background-color', colour);
  }

  /** The size in the application's attributes; nothing if it gave none. */
  get given(): Size | undefined {
    const { width, height } = this.attributes;
    return width === null && height === null ? undefined : this.meant();
  }

  /** Gives the bitmap another size, which wipes it, without moving anything on the page. */
  resizeBitmap(size: Size): void {
    this.takeWritten();
    this.pin();
    this.write(size);
    this.bitmap = size;
    this.observer.takeRecords();
  }

  /** What the application wrote and nobody was told of yet. */
  takeWritten(): void {
    const records = this.observer.takeRecords();
    if (records.length > 0) this.adopt(records);
  }

  /** Once its attributes are ours, a canvas without CSS size keeps the box that it has without us. */
  keepBox(): void {
    if (this.bitmap) this.pin();
  }

  /**
   * A canvas without CSS size has the box that its attributes give. They are about to become the bitmap's size, so
   * the box is written down as a style; one that CSS sizes needs nothing. As soon as it has a box.
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

  /** As the application left it: values that it changed meanwhile stay. Says whether that wiped the bitmap. */
  restore(): boolean {
    this.takeWritten();
    this.observer.disconnect();
    for (const property of [...this.changes.keys()]) this.unset(property);
    // Asking brings the attribute up to date, without which an empty one would come back.
    if (!this.hadStyle && this.canvas.getAttribute('style') === '') this.canvas.removeAttribute('style');
    const stale = SIDES.filter((side) => this.canvas.getAttribute(side) !== this.attributes[side]);
    for (const side of stale) {
      const value = this.attributes[side];
      if (value === null) this.canvas.removeAttribute(side);
      else this.canvas.setAttribute(side, value);
    }
    return stale.length > 0;
  }

  /** The application wrote size attributes while the view was on: it means the box, as they did before. */
  private adopt(records: readonly MutationRecord[]): void {
    const { canvas, bitmap } = this;
    const present = { width: canvas.width, height: canvas.height };
    const meant = this.meant();
    for (const side of SIDES) {
      if (!records.some(({ attributeName }) => attributeName === side)) continue;
      const value = canvas.getAttribute(side);
      const isSame = bitmap !== undefined && canvas[side] === bitmap[side];
      if (value !== null && isSame) continue;
      // What it reads are device pixels, so what it writes are too.
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

  /** The application's attributes in numbers, as the browser reads them. */
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
    // Read back: the browser writes values in its own form.
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
