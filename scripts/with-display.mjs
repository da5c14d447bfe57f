// Runs a command, on a virtual display if the machine has none: node scripts/with-display.mjs COMMAND...
import { spawnSync } from 'node:child_process';

const needsScreen = process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY;
const screen = ['xvfb-run', '-a', '-s', '-screen 0 1600x1200x24'];
const [command, ...args] = needsScreen ? [...screen, ...process.argv.slice(2)] : process.argv.slice(2);
const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
if (error) console.error(`${command}: ${error.message} (see node scripts/system-packages.mjs)`);
process.exitCode = status ?? 1;
