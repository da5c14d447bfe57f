// What a client has seen of one video track.

export const newView = () => ({ frames: 0, width: 0, longestGapMs: 0, lastMs: undefined });

/** Counts a frame by its timestamp. */
export function addFrame(view, atMs, width) {
  view.frames += 1;
  view.width = width;
  if (view.lastMs !== undefined) view.longestGapMs = Math.max(view.longestGapMs, atMs - view.lastMs);
  view.lastMs = atMs;
}
