'use strict';

const fs = require('fs');

/** Reads a WAV file of 16-bit integers or 32-bit floats; only its first channel. */
function readWav(file) {
  const bytes = fs.readFileSync(file);
  let format;
  for (let offset = 12; offset + 8 <= bytes.length; ) {
    const id = bytes.toString('latin1', offset, offset + 4);
    // A file that was not closed has no size yet: then the data goes to the end.
    const size = Math.min(bytes.readUInt32LE(offset + 4) || Infinity, bytes.length - offset - 8);
    const start = offset + 8;
    if (id === 'fmt ') {
      format = { float: bytes.readUInt16LE(start) === 3, channels: bytes.readUInt16LE(start + 2), rate: bytes.readUInt32LE(start + 4), bits: bytes.readUInt16LE(start + 14) };
      // Extensible files name the real format further on.
      if (bytes.readUInt16LE(start) === 0xfffe) format.float = bytes.readUInt16LE(start + 24) === 3;
    } else if (id === 'data' && format) {
      const step = (format.bits / 8) * format.channels;
      const samples = [];
      for (let at = start; at + step <= start + size; at += step) {
        samples.push(format.float ? bytes.readFloatLE(at) : bytes.readInt16LE(at) / 32768);
      }
      return { rate: format.rate, samples };
    }
    offset = start + size + (size % 2);
  }
  return { rate: 48000, samples: [] };
}

/** Fraction of the power at one frequency, by Goertzel's algorithm. */
function share(samples, rate, frequency) {
  const factor = 2 * Math.cos((2 * Math.PI * frequency) / rate);
  let [one, two, power] = [0, 0, 0];
  for (const sample of samples) {
    [one, two] = [sample + factor * one - two, one];
    power += sample * sample;
  }
  if (power < samples.length * 1e-7) return 0;
  return (2 * (one * one + two * two - factor * one * two)) / (samples.length * power);
}

/** Fraction of the non-silent seconds in which 440 Hz, the fake microphone's tone, is the strongest. */
function toneShare(file) {
  if (!fs.existsSync(file)) return 0;
  const { rate, samples } = readWav(file);
  const window = Math.floor(rate / 10);
  let [heard, loud] = [0, 0];
  for (let at = 0; at + window <= samples.length; at += window) {
    const part = samples.slice(at, at + window);
    const power = part.reduce((sum, sample) => sum + sample * sample, 0) / window;
    if (power < 1e-6) continue;
    loud += 1;
    if (share(part, rate, 440) > 0.7) heard += 1;
  }
  return loud === 0 ? 0 : heard / loud;
}

module.exports = { readWav, share, toneShare };
