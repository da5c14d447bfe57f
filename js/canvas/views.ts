import type { Size } from './canvas_style';
import type { ZegoView } from '../../ZegoExpressDefines';
import type { NativeEngine } from '../generated/native';
import { Painter, brushFor, type Appearance, type Brush } from './painter';
import { Tile } from './tile';

/** Beside `ZegoViewMode`: the frame in its own size, for a canvas without a box. As in `src/tile.rs`. */
const OWN_SIZE = 3;
const HIDDEN: Size = { width: 0, height: 0 };
const NO_BOX: Size = { width: 1, height: 1 };
/** Interval of checks for changes that no observer reports: transforms, and canvases that moved. */
const CHECK_MS = 250;
/** Shortest time between two changes of the frame size while a window is being resized. */
const RESIZE_MS = 100;

/** Starts the stream with that native view, or with none. */
type Start = (view: number | undefined) => void;

/** The canvases in use. A stream has one canvas, and a canvas one stream. */
export class Views {
  private readonly byStream = new Map<string, View>();
  private readonly byId = new Map<number, View>();
  private checks: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly native: NativeEngine) {}

  /**
   * Draws a stream on a canvas: it leaves its former canvas, and the canvas its former stream. Returns the native view's
   * number, or undefined without a canvas. Throws when the canvas cannot be used, or what `start` throws; then
   * nothing has changed.
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
      current.change(view);
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
    this.free(canvas);
    const opened = new View(this.native, id, canvas, brush, tile, view);
    this.byStream.set(stream, opened);
    this.byId.set(id, opened);
    this.checks ??= setInterval(() => this.checkAll(), CHECK_MS);
    return id;
  }

  close(stream: string): void {
    const view = this.byStream.get(stream);
    if (!view) return;
    this.byStream.delete(stream);
    this.byId.delete(view.id);
    view.close();
    if (this.byId.size > 0) return;
    clearInterval(this.checks);
    this.checks = undefined;
  }

  closeAll(): void {
    for (const stream of [...this.byStream.keys()]) this.close(stream);
  }

  /** Closes the view of that number after the engine has released it, unless it was started again. */
  release(id: number): void {
    if (!this.native.isViewReleased(id)) return;
    for (const [stream, view] of this.byStream) {
      if (view.id === id) this.close(stream);
    }
  }

  /** Draws one slot, which belongs to the native part again when this returns. */
  draw(id: number, slot: number): void {
    this.byId.get(id)?.draw(slot);
  }

  makeRing(id: number, width: number, height: number): void {
    this.byId.get(id)?.makeRing(width, height);
  }

  private checkAll(): void {
    for (const view of this.byId.values()) view.check();
  }

  /** Closes the view that draws on that canvas. */
  private free(canvas: HTMLCanvasElement): void {
    for (const [stream, view] of this.byStream) {
      if (view.canvas === canvas) this.close(stream);
    }
  }
}

/** A stream on a canvas. */
class View {
  private readonly painter: Painter;
  private appearance: Appearance;
  private drawHidden: boolean | undefined;
  /** The last box; undefined until the canvas was displayed. */
  private box: Size | undefined;
  /** Size of drawn frames; undefined for their own size. */
  private size: Size | undefined;
  /** The tile that the native part has, as text, and when it was set. */
  private sentTile = '';
  private sentAt = 0;
  private checkedAt = 0;
  private later: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly native: NativeEngine,
    readonly id: number,
    readonly canvas: HTMLCanvasElement,
    brush: Brush,
    private readonly tile: Tile,
    view: ZegoView,
  ) {
    this.appearance = appearanceOf(view);
    this.drawHidden = view.drawHidden ?? undefined;
    this.painter = new Painter(canvas, brush, this.appearance, () => this.repaint());
    tile.changed = () => this.check();
    this.check();
  }

  change(view: ZegoView): void {
    this.appearance = appearanceOf(view);
    this.drawHidden = view.drawHidden ?? undefined;
    this.painter.setAppearance(this.appearance);
    this.repaint();
  }

  draw(slot: number): void {
    if (performance.now() - this.checkedAt > RESIZE_MS) this.check();
    this.painter.draw(slot, this.size);
  }

  makeRing(width: number, height: number): void {
    this.native.setViewRing(this.id, width, height, this.painter.makeRing(width, height));
  }

  /**
   * Measures the canvas and updates the native part's tile. A canvas that was never displayed is assumed to be read by the
   * application, so it is drawn; one that was hidden costs nothing.
   */
  check(): void {
    this.checkedAt = performance.now();
    this.painter.style.keepBox();
    const present = this.tile.measure();
    this.box = present ?? this.box;
    this.size = this.box ?? this.painter.style.given;
    const isSeen = present !== undefined && this.tile.isOnScreen;
    this.updateTile(isSeen || (this.drawHidden ?? this.box === undefined));
  }

  close(): void {
    clearTimeout(this.later);
    this.tile.close();
    // The native part first: after this no thread writes into the buffers.
    this.native.closeView(this.id);
    this.painter.close();
  }

  private updateTile(isDrawn: boolean): void {
    const { width, height } = isDrawn ? (this.size ?? NO_BOX) : HIDDEN;
    const mode = this.size ? this.appearance.mode : OWN_SIZE;
    const tile = `${width} x ${height} in mode ${mode}`;
    if (tile === this.sentTile) return;
    const wait = this.sentTile === '' ? 0 : this.sentAt + RESIZE_MS - this.checkedAt;
    if (isDrawn && wait > 0) {
      this.later ??= setTimeout(() => {
        this.later = undefined;
        this.check();
      }, wait);
      return;
    }
    this.sentTile = tile;
    this.sentAt = this.checkedAt;
    this.native.setViewTile(this.id, width, height, mode);
  }

  /** Requests the last frame again. */
  private repaint(): void {
    this.sentTile = '';
    this.check();
  }
}

const appearanceOf = (view: ZegoView): Appearance => ({ mode: view.viewMode ?? 0, backgroundColor: view.backgroundColor ?? 0 });
