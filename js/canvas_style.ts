/** `ZegoViewMode` as the compositor's own scaling. */
const OBJECT_FIT = ['contain', 'cover', 'fill'] as const;

interface Change {
  before: string;
  priority: string;
  set: string;
}

/** The inline styles and size attributes that a view puts on the application's canvas, and how they go back. */
export class CanvasStyle {
  private readonly changes = new Map<string, Change>();
  private readonly hadStyle: boolean;
  private attributes: { width: string | null; height: string | null };
  private pinned = false;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.hadStyle = canvas.hasAttribute('style');
    this.attributes = this.readAttributes();
  }

  setLook(mode: number, colour: string): void {
    this.set('object-fit', OBJECT_FIT[mode] ?? OBJECT_FIT[0]);
    this.set('background-color', colour);
  }

  /** Gives the bitmap another size without moving anything on the page. */
  resizeBitmap(width: number, height: number): void {
    if (!this.pinned) this.pinBox();
    this.canvas.width = width;
    this.canvas.height = height;
  }

  /** The application wrote the size attributes while the view was on: it means the box, as they did before. */
  adoptAttributes(width: number, height: number): void {
    const { canvas } = this;
    if (canvas.width === width && canvas.height === height) return;
    this.attributes = this.readAttributes();
    this.unset('width');
    this.unset('aspect-ratio');
    this.pinned = false;
    this.resizeBitmap(width, height);
  }

  /** As the application left it: values that it changed meanwhile stay. */
  restore(): void {
    for (const property of [...this.changes.keys()]) this.unset(property);
    for (const [name, value] of Object.entries(this.attributes)) {
      if (value === null) this.canvas.removeAttribute(name);
      else this.canvas.setAttribute(name, value);
    }
    if (!this.hadStyle && this.canvas.style.length === 0) this.canvas.removeAttribute('style');
  }

  /**
   * A canvas without CSS size has the box that its attributes give. They are about to become the picture's size, so
   * the box is written down as a style; one that CSS sizes needs nothing.
   */
  private pinBox(): void {
    const { canvas } = this;
    const { width, height } = canvas;
    if (width === 0 || height === 0) return;
    const before = canvas.getBoundingClientRect();
    if (before.width === 0 || before.height === 0) return;
    const computed = getComputedStyle(canvas).width;
    canvas.width = width * 2;
    canvas.height = height * 3;
    const after = canvas.getBoundingClientRect();
    const differs = Math.abs(after.width - before.width) + Math.abs(after.height - before.height) > 0.5;
    canvas.width = width;
    canvas.height = height;
    this.pinned = true;
    if (!differs) return;
    this.set('aspect-ratio', `${width} / ${height}`);
    canvas.width = width * 2;
    canvas.height = height * 2;
    const scaled = canvas.getBoundingClientRect();
    canvas.width = width;
    canvas.height = height;
    if (Math.abs(scaled.width - before.width) > 0.5) this.set('width', computed);
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

  private readAttributes(): { width: string | null; height: string | null } {
    return { width: this.canvas.getAttribute('width'), height: this.canvas.getAttribute('height') };
  }
}
