// npm run bench -- NAME [--json]: runs bench/NAME/index.mjs and prints its result as a table or as one line of JSON.
// A bench module exports `run(): Promise<{ rows, targets }>`, and `needsScreen` if it opens windows.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const name = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
const json = process.argv.includes('--json');
const file = (bench) => join(here, bench, 'index.mjs');

function machine() {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} x ${cpu?.model.trim()}, ${memory} GiB, ${type()} ${release()}, Node ${process.version}`;
}

/** For the printed table: the range of a figure follows it in the same column. */
function folded(row) {
  const entries = Object.entries(row).filter(([name]) => !name.endsWith('Range'));
  return Object.fromEntries(
    entries.map(([name, value]) => [name, `${name}Range` in row ? `${value} [${row[`${name}Range`]}]` : value]),
  );
}

/** Groups rows with the same columns into tables. */
function tables(rows) {
  const groups = new Map();
  for (const row of rows) {
    const columns = Object.keys(row).join();
    groups.set(columns, [...(groups.get(columns) ?? []), row]);
  }
  return groups.values();
}

function print({ bench, machine, rows, targets }) {
  console.log(`${bench} on ${machine}\n`);
  for (const alike of tables(rows.map(folded))) console.table(alike);
  for (const { name, goal, value, ok } of targets) console.log(`${ok ? 'met   ' : 'MISSED'}  ${name}: ${value} (${goal})`);
}

async function main() {
  if (!name || !existsSync(file(name))) {
    const known = readdirSync(here).filter((entry) => existsSync(file(entry)));
    console.error(`usage: npm run bench -- NAME [--json]; NAME is one of: ${known.join(', ')}`);
    return 2;
  }
  const bench = await import(file(name));
  const hasScreen = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (bench.needsScreen && !hasScreen) {
    const command = [join(here, '..', 'scripts', 'with-display.mjs'), process.execPath, ...process.argv.slice(1)];
    return spawnSync(process.execPath, command, { stdio: 'inherit' }).status ?? 1;
  }
  const result = { bench: name, machine: machine(), ...(await bench.run()) };
  if (json) console.log(JSON.stringify(result));
  else print(result);
  return 0;
}

process.exitCode = await main();
