import type { Size } from './canvas_style';
import type { NativeEngine } from './native';
import { Painter, brushFor, type Brush, type Look } from './painter';
import { Tile } from './tile';

/** `ZegoView`, as far as it has an effect. */
export interface ZegoView {
  canvas?: HTMLCanvasElement | null;
  viewMode?: number | null;
  backgroundColor?: number | null;
  /** Whether a canvas that nobody sees gets pictures; see `index.d.ts`. */
  drawHidden?: boolean | null;
}

/** Beside `ZegoViewMode`: the picture in its own size, for a canvas without a box. As in `src/tile.rs`. */
const OWN_SIZE = 3;
const HIDDEN: Size = { width: 0, height: 0 };
const NO_BOX: Size = { width: 1, height: 1 };
/** How often the page is looked at for what no observer tells: transforms, and canvases that moved. */
const LOOK_MS = 250;
/** A window that is being resized asks for pictures of another size no more often. */
const RESIZE_MS = 100;

/** Starts the stream with the native view of that number, or with none. */
type Start = (view: number | undefined) => void;

/** The canvases in use: which stream is drawn on which. One stream has one canvas, and one canvas one stream. */
export class Views {
  private readonly byStream = new Map<string, View>();
  private readonly byId = new Map<number, View>();
  private starts = 0;
  private looking: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly native: NativeEngine) {}

  /**
   * Puts a stream on a canvas, away from where it was and in place of what was there. Returns the native view's
   * number, or nothing when there is no canvas. Throws when the canvas cannot be used, or what `start` throws; then
   * everything is as it was.
   */
  open(
    stream: string,
    view: ZegoView | null | undefined,
    desynchronized: boolean,
    start: Start = () => undefined,
  ): number | undefined {
    const canvas = view?.canvas;
    const current = this.byStream.get(stream);
    if (!view || !canvas) {
      start(undefined);
      this.close(stream);
      return undefined;
    }
    if (current?.canvas === canvas) {
      start(current.id);
      current.change(view, ++this.starts);
      return current.id;
    }
    const brush = brushFor(canvas, desynchronized);
    const tile = new Tile(canvas);
    const { width, height } = tile.measure() ?? NO_BOX;
    const id = this.native.createView(width, height, view.viewMode ?? 0);
    try {
      start(id);
    } catch (error) {
      tile.close();
      this.native.closeView(id);
      throw error;
    }
    this.close(stream);
    this.release(canvas);
    const made = new View(this.native, id, canvas, brush, tile, view, ++this.starts);
    this.byStream.set(stream, made);
    this.byId.set(id, made);
    this.looking ??= setInterval(() => this.look(), LOOK_MS);
    return id;
  }

  close(stream: string): void {
    const view = this.byStream.get(stream);
    if (!view) return;
    this.byStream.delete(stream);
    this.byId.delete(view.id);
    view.close();
    if (this.byId.size > 0) return;
    clearInterval(this.looking);
    this.looking = undefined;
  }

  closeAll(): void {
    for (const stream of [...this.byStream.keys()]) this.close(stream);
  }

  /** The starts that are in effect, of those streams, for {@link closeStarted}. */
  started(isMeant: (stream: string) => boolean = () => true): ReadonlySet<number> {
    return new Set([...this.byStream].filter(([stream]) => isMeant(stream)).map(([, view]) => view.start));
  }

  /** Closes what was started then and not again since. */
  closeStarted(starts: ReadonlySet<number>): void {
    for (const [stream, view] of [...this.byStream]) {
      if (starts.has(view.start)) this.close(stream);
    }
  }

  /** Draws one slot; the native side takes it back when this returns. */
  draw(id: number, slot: number): void {
    this.byId.get(id)?.draw(slot);
  }

  makeRing(id: number, width: number, height: number): void {
    this.byId.get(id)?.makeRing(width, height);
  }

  private look(): void {
    for (const view of this.byId.values()) view.look();
  }

  /** Whatever is drawn on that canvas is drawn there no longer. */
  private release(canvas: HTMLCanvasElement): void {
    for (const [stream, view] of this.byStream) {
      if (view.canvas === canvas) this.close(stream);
    }
  }
}

/** A stream on a canvas. */
class View {
  private readonly painter: Painter;
  private appearance: Look;
  private drawHidden: boolean | undefined;
  /** The box that it had last; nothing as long as nobody can have seen it. */
  private box: Size | undefined;
  /** Size in which pictures are drawn; nothing: their own. */
  private size: Size | undefined;
  private told = '';
  private toldAt = 0;
  private lookedAt = 0;
  private later: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly native: NativeEngine,
    readonly id: number,
    readonly canvas: HTMLCanvasElement,
    brush: Brush,
    private readonly tile: Tile,
    view: ZegoView,
    /** Differs for every start, also of the same stream on the same canvas. */
    public start: number,
  ) {
    this.appearance = lookOf(view);
    this.drawHidden = view.drawHidden ?? undefined;
    this.painter = new Painter(canvas, brush, this.appearance, () => this.repaint());
    tile.changed = () => this.look();
    this.look();
  }

  change(view: ZegoView, start: number): void {
    this.start = start;
    this.appearance = lookOf(view);
    this.drawHidden = view.drawHidden ?? undefined;
    this.painter.setLook(this.appearance);
    this.repaint();
  }

  draw(slot: number): void {
    if (performance.now() - this.lookedAt > RESIZE_MS) this.look();
    this.painter.draw(slot, this.size);
  }

  makeRing(width: number, height: number): void {
    this.native.setViewRing(this.id, width, height, this.painter.makeRing(width, height));
  }

  /**
   * Looks where the canvas is now, and tells the native side if it needs other pictures there. A canvas that was never
   * on a page is one that somebody reads, so it gets pictures; one that went out of sight costs nothing.
   */
  look(): void {
    this.lookedAt = performance.now();
    this.painter.style.keepBox();
    const present = this.tile.measure();
    this.box = present ?? this.box;
    this.size = this.box ?? this.painter.style.given;
    const isSeen = present !== undefined && this.tile.isOnScreen;
    this.tell(isSeen || (this.drawHidden ?? this.box === undefined));
  }

  close(): void {
    clearTimeout(this.later);
    this.tile.close();
    // First the native side: after this no thread writes into the buffers.
    this.native.closeView(this.id);
    this.painter.close();
  }

  private tell(isDrawn: boolean): void {
    const { width, height } = isDrawn ? (this.size ?? NO_BOX) : HIDDEN;
    const mode = this.size ? this.appearance.mode : OWN_SIZE;
    const tile = `${width} x ${height} in mode ${mode}`;
    if (tile === this.told) return;
    const wait = this.told === '' ? 0 : this.toldAt + RESIZE_MS - this.lookedAt;
    if (isDrawn && wait > 0) {
      this.later ??= setTimeout(() => {
        this.later = undefined;
        this.look();
      }, wait);
      return;
    }
    this.told = tile;
    this.toldAt = this.lookedAt;
    this.native.setViewTile(this.id, width, height, mode);
  }

  /** Has the last picture drawn again. */
  private repaint(): void {
    this.told = '';
    this.look();
  }
}

const lookOf = (view: ZegoView): Look => ({ mode: view.viewMode ?? 0, backgroundColor: view.backgroundColor ?? 0 });
