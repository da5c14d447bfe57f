// npm run licences: licences, banned crates and sources by cargo-deny, which is installed on first use.
import { spawnSync } from 'node:child_process';
import { root } from './prepare.mjs';

const cargo = (...args) => spawnSync('cargo', args, { cwd: root, stdio: 'inherit' }).status;

if (spawnSync('cargo', ['deny', '--version']).status !== 0 && cargo('install', '--locked', 'cargo-deny') !== 0) process.exit(1);
process.exitCode = cargo('deny', '--all-features', 'check', 'licenses', 'bans', 'sources') ?? 1;
