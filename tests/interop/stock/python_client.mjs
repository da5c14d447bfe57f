// PyPI's `livekit` in a Python process, driven by one JSON object per line.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGES = ['livekit==1.2.1', 'livekit-api==1.2.2'];
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'zego-express');
const folder = join(cache, PACKAGES.join('-').replaceAll('==', '-'));
const program = join(dirname(fileURLToPath(import.meta.url)), 'client.py');

/** Installs the packages into a folder of their own, outside the checkout, unless they are there. */
export function installPython() {
  if (existsSync(folder)) return;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${folder}.${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  const options = ['-m', 'pip', 'install', '--quiet', '--no-input', '--target', unfinished];
  execFileSync('python3', [...options, ...PACKAGES], { stdio: ['ignore', 'ignore', 'inherit'] });
  renameSync(unfinished, folder);
}

export class PythonClient {
  #child = spawn('python3', [program], { env: { ...process.env, PYTHONPATH: folder }, stdio: ['pipe', 'pipe', 'inherit'] });
  #answers = new Map();
  #calls = 0;

  constructor() {
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line);
      const { resolve, reject } = this.#answers.get(id);
      this.#answers.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
    this.#child.on('exit', () => {
      for (const { reject } of this.#answers.values()) reject(new Error('Python ended'));
    });
  }

  #call(method, argument = {}) {
    return new Promise((resolve, reject) => {
      const id = ++this.#calls;
      this.#answers.set(id, { resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, method, argument })}\n`);
    });
  }

  static {
    for (const method of ['connect', 'publishVideo', 'publishAudio', 'send', 'mute', 'setAttributes', 'resize', 'measure', 'report', 'administer']) {
      PythonClient.prototype[method] = function call(argument) {
        return this.#call(method, argument);
      };
    }
  }

  async leave() {
    if (this.#child.exitCode !== null) return;
    const end = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    await end;
    clearTimeout(timer);
  }
}
