// What forwarding costs: one publisher of 1.5 Mbit/s, N subscribers, our room server and a real LiveKit server in turn.
// The floor is a thread that receives as many packets and sends each to N sockets, measured in the same run.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { must, targetDirectory } from '../../scripts/prepare.mjs';
import { KEY, SECRET } from '../../tests/interop/keys.mjs';
import { endAll, server as livekit, startNode } from '../../tests/interop/nodes.mjs';
import { median, round } from '../numbers.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = 6;
const COUNTS = [10, 50, 100, 300];
const IDLE = 50;
const release = (...path) => join(targetDirectory(), 'release', ...path);

/** Not spawnSync: it would leave the LiveKit server's log unread, and with 50 clients the server blocks on it. */
async function load(subscribers, ...where) {
  const args = ['--subscribers', subscribers, '--seconds', SECONDS, '--key', KEY, '--secret', SECRET, ...where].map(String);
  const { stdout } = await promisify(execFile)(release('examples', 'sfu_load'), args);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** A new server for each measurement, so that none inherits the memory of another. */
async function measure(variant, subscribers, idle) {
  if (variant === 'ours') return load(subscribers, '--idle', idle, '--server', release('room-server'));
  const node = await startNode();
  try {
    return await load(subscribers, '--idle', idle, '--url', node.url, '--pid', node.pid);
  } finally {
    await node.kill();
  }
}

export async function run() {
  must('cargo', 'build', '--release', '-p', 'room-server', '--bin', 'room-server', '--example', 'sfu_load');
  const variants = livekit.path ? ['ours', 'livekit-server'] : ['ours'];
  if (livekit.reason) console.error(`without livekit-server: ${livekit.reason}`);
  const samples = [];
  try {
    for (let pass = 1; pass <= ROUNDS; pass++) {
      for (const subscribers of COUNTS) {
        for (const variant of variants) {
          const sample = await measure(variant, subscribers, subscribers === 100 ? IDLE : 0).catch((error) => ({ error: error.message }));
          console.error(`round ${pass} of ${ROUNDS}, ${variant}, ${subscribers}: ${JSON.stringify(sample)}`);
          // A failure of ours ends the bench; a failure of the peer, or of the load generator, is reported.
          if (sample.error && variant === 'ours') throw new Error(sample.error);
          if (!sample.error) samples.push({ variant, ...sample });
        }
      }
    }
  } finally {
    await endAll();
  }
  const rows = COUNTS.flatMap((subscribers) => variants.map((variant) => ({ subscribers, variant }))).map(({ subscribers, variant }) => {
    const own = samples.filter((it) => it.variant === variant && it.subscribers === subscribers);
    if (own.length === 0) return { subscribers, variant: `${variant}: not all got packets` };
    const middle = (read) => round(median(own.map(read)));
    return {
      subscribers,
      variant,
      cpuUsPerPacket: middle((it) => it.us_per_packet),
      timesFloor: middle((it) => it.times_floor),
      cpuPercent: middle((it) => it.cpu_percent),
      lost: Math.max(...own.map((it) => it.lost)),
      latencyP50Ms: middle((it) => it.latency_ms.p50),
      latencyP99Ms: middle((it) => it.latency_ms.p99),
      joinAllS: middle((it) => it.joined_s),
      idleParticipantKb: own[0].idle_kb === null ? undefined : middle((it) => it.idle_kb),
    };
  });
  const at = (subscribers, variant) => rows.find((row) => row.subscribers === subscribers && row.variant === variant);
  const ours = at(100, 'ours');
  const target = (name, goal, value, ok) => ({ name, goal, value, ok });
  const targets = [
    ...COUNTS.map((count) => at(count, 'ours').timesFloor).map((value, index) =>
      target(`CPU per forwarded packet, ${COUNTS[index]} down-tracks, times the floor`, '<= 2.2', value, value <= 2.2),
    ),
    target('added latency at 100, p50, ms', '<= 1', ours.latencyP50Ms, ours.latencyP50Ms <= 1),
    target('added latency at 100, p99, ms', '<= 5', ours.latencyP99Ms, ours.latencyP99Ms <= 5),
    target('join of 100 peers, s', '<= 3', ours.joinAllS, ours.joinAllS <= 3),
    target('memory of an idle participant, kB', '<= 400', ours.idleParticipantKb, ours.idleParticipantKb <= 400),
  ];
  const compared = COUNTS.findLast((count) => at(count, 'livekit-server'));
  if (compared) {
    const share = round(at(compared, 'ours').cpuUsPerPacket / at(compared, 'livekit-server').cpuUsPerPacket);
    targets.push(target(`CPU per forwarded packet at ${compared}, share of livekit-server`, '<= 0.5', share, share <= 0.5));
  }
  return { rows, targets };
}
