// npm run cycles [CRATE...]: circles between the files of each Rust crate, by cargo-modules, which is installed on first use.
// A parent module and its descendants may use each other; any other circle is an error, unless it is known (below).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The last version that the minimum of Rust versions here can build. */
const VERSION = '0.27.0';
/** Modules in circles that are still there. The numbers may only go down. */
const KNOWN = { engine: 23, media: 12, 'room-server': 17, 'zego-express-engine-electron': 7 };

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Packages of the workspace, by their manifests. */
function packages() {
  const members = /members = \[([^\]]*)\]/.exec(readFileSync(path.join(root, 'Cargo.toml'), 'utf8'))[1];
  return [...members.matchAll(/"([^"]+)"/g)].map(([, folder]) => {
    const manifest = readFileSync(path.join(root, folder, 'Cargo.toml'), 'utf8');
    return /^name = "([^"]+)"/m.exec(manifest)[1];
  });
}

/** The graph of one crate: its modules, and which module uses which. */
export function parseGraph(text) {
  const modules = new Set();
  for (const [, name] of text.matchAll(/^\s*"([^"]+)" \[.*\/\/ "(?:mod|crate)" node$/gm)) modules.add(name);
  const home = item => {
    let name = item;
    while (name && !modules.has(name)) name = name.slice(0, Math.max(0, name.lastIndexOf('::')));
    return name;
  };
  const uses = new Map([...modules].map(name => [name, new Set()]));
  for (const [, from, to] of text.matchAll(/^\s*"([^"]+)" -> "([^"]+)" .*\/\/ "uses" edge$/gm)) {
    const [user, used] = [home(from), home(to)];
    const related = user === used || user.startsWith(`${used}::`) || used.startsWith(`${user}::`);
    if (user && used && !related) uses.get(user).add(used);
  }
  return uses;
}

/** Groups of modules that reach each other (Tarjan's strongly connected components), the largest first. */
export function findCycles(uses) {
  const [index, low, stack, cycles] = [new Map(), new Map(), [], []];
  const visit = node => {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    for (const next of uses.get(node)) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node), low.get(next)));
    }
    if (low.get(node) === index.get(node)) {
      const cycle = stack.splice(stack.indexOf(node));
      if (cycle.length > 1) cycles.push(cycle.sort());
    }
  };
  for (const node of uses.keys()) if (!index.has(node)) visit(node);
  return cycles.sort((a, b) => b.length - a.length);
}

function isInstalled() {
  const cargo = (...args) => spawnSync('cargo', args, { cwd: root, stdio: 'ignore' }).status === 0;
  return cargo('modules', '--version') || cargo('install', '--locked', `cargo-modules@${VERSION}`);
}

function graphOf(crate) {
  const args = ['modules', 'dependencies', '--package', crate, '--lib', '--no-externs', '--no-sysroot'];
  const run = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`cargo modules failed on ${crate}: ${run.stderr.slice(0, 500)}`);
  return run.stdout;
}

/** Prints the circles of a crate; returns whether there are more of them than known. */
function check(crate) {
  const cycles = findCycles(parseGraph(graphOf(crate)));
  const count = cycles.flat().length;
  const known = KNOWN[crate] ?? 0;
  console.log(`${crate}: ${count} modules in circles${count < known ? `; lower the known ${known}` : ''}`);
  for (const cycle of cycles) console.log(`  ${cycle.join(', ')}`);
  return count > known;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!isInstalled()) {
    console.log(`skipped: cargo-modules ${VERSION} cannot be installed`);
  } else {
    const crates = process.argv.length > 2 ? process.argv.slice(2) : packages();
    process.exitCode = crates.map(check).some(Boolean) ? 1 : 0;
  }
}
