'use strict';

/** Notes each new picture that is shown: when, when it was taken, its number. */
module.exports = function noteShown() {
  let shown = [];
  let last;
  const waiting = [];
  return {
    picture(strip) {
      const now = Date.now();
      // A picture without the strip reads as some far time.
      if (!strip || Math.abs(now - strip.captured) > 20_000 || strip.counter === last) return;
      last = strip.counter;
      shown.push([now, strip.captured, strip.counter]);
      waiting.splice(0).forEach((resolve) => resolve());
    },
    first: () => new Promise((resolve) => waiting.push(resolve)),
    /** What was noted since the last call. */
    take: () => shown.splice(0),
  };
};
