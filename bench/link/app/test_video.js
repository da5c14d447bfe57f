'use strict';

// The test video of all variants: a smooth texture that pans, three objects, and a sensor's noise, as a Y4M file that
// loops. It costs an encoder as many bits as it is given, which colour bars do not. Each source draws the strip over it.
const { closeSync, openSync, readFileSync, writeSync } = require('fs');

// Small enough that two cores have time to spare for whole calls, so that it is the link that is measured.
const WIDTH = 640;
const HEIGHT = 360;
const FPS = 30;
const FRAMES = 30;
const CELL = WIDTH / 32;
const HEADER = `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FPS}:1 C420jpeg\n`;
const MARK = 'FRAME\n';
const LUMA = WIDTH * HEIGHT;
const SIZE = (LUMA * 3) / 2;
/** Period of the texture in pixels, so that the file loops without a jump. */
const PERIOD = 240;
const NOISE = 5;

/** xorshift32: the same video in every run. */
function randomNumbers() {
  let state = 0x2545f491;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function texture() {
  const tile = new Uint8Array(PERIOD * HEIGHT);
  const wave = (x, y, fx, fy) => Math.sin((2 * Math.PI * (fx * x)) / PERIOD + fy * y);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < PERIOD; x++) {
      const waves = 30 * wave(x, y, 1, 0.011) + 22 * wave(x, y, 3, -0.037) + 16 * wave(x, y, 7, 0.09) + 9 * wave(x, y, 19, 0.31);
      tile[y * PERIOD + x] = 125 + waves;
    }
  }
  return tile;
}

function drawObject(luma, left, top, side, value) {
  for (let y = top; y < top + side; y++) luma.fill(value, y * WIDTH + left, y * WIDTH + left + side);
}

/** Writes the file. */
function writeTestVideo(path) {
  const tile = texture();
  const random = randomNumbers();
  const noise = Int8Array.from({ length: LUMA + 65536 }, () => Math.round((random() + random() - 1) * NOISE));
  const file = openSync(path, 'w');
  writeSync(file, HEADER);
  const pixels = Buffer.alloc(SIZE, 128);
  for (let frame = 0; frame < FRAMES; frame++) {
    const [pan, start] = [(frame * PERIOD) / FRAMES, Math.floor(random() * 65536)];
    for (let y = 0; y < HEIGHT; y++) {
      for (let x = 0; x < WIDTH; x++) {
        const at = y * WIDTH + x;
        pixels[at] = tile[y * PERIOD + ((x + pan) % PERIOD)] + noise[start + at];
      }
    }
    const turn = (2 * Math.PI * frame) / FRAMES;
    for (let index = 0; index < 3; index++) {
      const [x, y] = [Math.cos(turn + index * 2.1), Math.sin(turn * (index + 1))];
      drawObject(pixels, Math.round(300 + 200 * x), Math.round(190 + 90 * y), 45 + 10 * index, 60 + 60 * index);
    }
    writeSync(file, MARK);
    writeSync(file, pixels);
  }
  closeSync(file);
}

/** The file's frames, I420. */
function readFrames(path) {
  const file = readFileSync(path);
  const start = (frame) => HEADER.length + frame * (MARK.length + SIZE) + MARK.length;
  return Array.from({ length: FRAMES }, (_, frame) => file.subarray(start(frame), start(frame) + SIZE));
}

function drawStrip(frame, captured, counter) {
  const bits = captured.toString(2).padStart(48, '0') + counter.toString(2).padStart(16, '0');
  for (let row = 0; row < 2; row++) {
    const line = row * CELL * WIDTH;
    for (let column = 0; column < 32; column++) {
      frame.fill(bits[row * 32 + column] === '1' ? 235 : 16, line + column * CELL, line + (column + 1) * CELL);
    }
    for (let y = 1; y < CELL; y++) frame.copyWithin(line + y * WIDTH, line, line + WIDTH);
  }
  for (const plane of [LUMA, LUMA * 1.25]) frame.fill(128, plane, plane + (CELL * WIDTH) / 2);
}

/** Calls `show` with a new I420 frame 30 times a second, until the returned function is called. */
function playTestVideo(path, show) {
  const frames = readFrames(path);
  const started = performance.now();
  let counter = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - started) * FPS) / 1000);
    if (due < counter) return;
    const frame = Buffer.from(frames[due % FRAMES]);
    drawStrip(frame, Date.now(), counter & 0xffff);
    counter += 1;
    show(frame);
  }, 4);
  return () => clearInterval(timer);
}

module.exports = { WIDTH, HEIGHT, FPS, writeTestVideo, playTestVideo };
