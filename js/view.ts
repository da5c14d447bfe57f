import { Canvas2D, type Look } from './canvas_2d';
import type { NativeEngine } from './native';
import { Tile } from './tile';

/** `ZegoView`, as far as it has an effect. */
export interface ZegoView {
  canvas?: HTMLCanvasElement | null;
  viewMode?: number | null;
  backgroundColor?: number | null;
}

interface View extends Look {
  id: number;
  /** Differs for every start, also of the same stream on the same canvas. */
  start: number;
  painter: Canvas2D;
  tile: Tile;
}

const lookOf = (view: ZegoView): Look => ({ mode: view.viewMode ?? 0, backgroundColor: view.backgroundColor ?? 0 });

/** The canvases in use: which stream is drawn on which. One stream has one canvas, and one canvas one stream. */
export class Views {
  private readonly byStream = new Map<string, View>();
  private readonly byId = new Map<number, View>();
  private starts = 0;

  constructor(private readonly native: NativeEngine) {}

  /**
   * Puts a stream on a canvas, away from where it was and in place of what was there. Returns the native view's
   * number, or nothing when there is no canvas. Throws when the canvas cannot be used.
   */
  open(stream: string, view: ZegoView | null | undefined, desynchronized: boolean): number | undefined {
    const canvas = view?.canvas;
    const current = this.byStream.get(stream);
    if (current && current.painter.canvas === canvas) return this.change(current, lookOf(view ?? {}));
    this.close(stream);
    if (!view || !canvas) return undefined;
    this.release(canvas);
    return this.make(stream, canvas, lookOf(view), desynchronized);
  }

  close(stream: string): void {
    const view = this.byStream.get(stream);
    if (!view) return;
    this.byStream.delete(stream);
    this.byId.delete(view.id);
    view.tile.close();
    // First the native side: after this no thread writes into the buffers.
    this.native.closeView(view.id);
    view.painter.close();
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
    this.byId.get(id)?.painter.draw(slot);
  }

  makeRing(id: number, width: number, height: number): void {
    const view = this.byId.get(id);
    if (view) this.native.setViewRing(id, width, height, view.painter.makeRing(width, height));
  }

  private make(stream: string, canvas: HTMLCanvasElement, look: Look, desynchronized: boolean): number {
    const painter = new Canvas2D(canvas, look, desynchronized);
    const tile = new Tile(canvas, (size) => this.native.setViewTile(view.id, size.width, size.height, view.mode));
    const { width, height } = tile.size;
    const id = this.native.createView(width, height, look.mode);
    const view: View = { ...look, id, start: ++this.starts, painter, tile };
    this.byStream.set(stream, view);
    this.byId.set(id, view);
    return id;
  }

  private change(view: View, look: Look): number {
    Object.assign(view, look, { start: ++this.starts });
    view.painter.setLook(look);
    const { width, height } = view.tile.size;
    this.native.setViewTile(view.id, width, height, look.mode);
    return view.id;
  }

  /** Whatever is drawn on that canvas is drawn there no longer. */
  private release(canvas: HTMLCanvasElement): void {
    for (const [stream, view] of this.byStream) {
      if (view.painter.canvas === canvas) this.close(stream);
    }
  }
}
