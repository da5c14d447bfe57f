// Runs the labs: crates/transport/examples/network_lab.rs, the client's sending and receiving halves over an emulated link,
// and crates/media/examples/audio_lab.rs, its audio. Seeded, faster than real time. No Electron, no network.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

// One object a case; a value is [median, least, greatest] over the seeds, or a list of such.
export const lab = (...what) => example('transport', 'network_lab', what);
export const audioLab = (...what) => example('media', 'audio_lab', what);

function example(crate, name, what) {
  const cargo = ['run', '--release', '--quiet', '-p', crate, '--example', name, '--', ...what];
  const { status, stdout, error } = spawnSync('cargo', cargo, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw error ?? new Error(`the lab ended with ${status}`);
  return stdout.trim().split('\n').map((line) => JSON.parse(line));
}

function cell(value) {
  if (!Array.isArray(value)) return value;
  if (Array.isArray(value[0])) return value.map(cell).join(' / ');
  const [median, least, greatest] = value.map((number) => (number === null ? 'never' : Math.round(number * 10) / 10));
  return least === greatest ? `${median}` : `${median} (${least}–${greatest})`;
}

// For a table: text in each cell.
export const table = (rows) =>
  rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, cell(value)])));

export const least = ([, value]) => value;
export const greatest = ([, , value]) => value;

// A target that every seed has to meet.
export function target(name, goal, value, ok) {
  return { name, goal, value: value === null ? 'never' : value, ok: value !== null && ok(value) };
}
