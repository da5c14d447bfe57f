// Is speech played without gaps, with little delay and without echo? The audio lab (crates/media/examples/audio_lab.rs): the
// real encoder, jitter buffer and processing over an emulated network and room, seeded, faster than real time.
import { audioLab, greatest, least, table, target } from '../lab.mjs';

const NETWORK = [
  'case',
  'concealed %',
  'recovered %',
  'mean delay ms',
  'delay p95 ms',
  'first sound ms',
  'silent in the first 2 s ms',
  'longest silence ms',
  'sound back ms',
  'faster ms',
  'slower ms',
  'thrown away ms',
  'packets with redundancy %',
  'CPU of encoder us',
  'CPU of receiver us',
];
const ROOM = [
  'chain',
  'delay ms',
  'drift ppm',
  'echo down by 2 s dB',
  'echo down after 2 s dB',
  'near voice kept dB',
  'near voice to rest before dB',
  'near voice to rest after dB',
  'understood before',
  'understood after',
  'CPU us',
];

const columns = (rows, names) => rows.map((row) => Object.fromEntries(names.map((name) => [name, row[name]])));

export async function run() {
  const networks = columns(audioLab('network'), NETWORK);
  const rooms = columns(audioLab('echo'), ROOM);
  const named = (name) => networks.find((row) => row.case === name);
  const [bad, bursts, outage] = ['5 %, jitter 60 ms', '10 % bursts of 4', '1 s outage, 5 %, jitter 60 ms'].map(named);
  const drifting = networks.filter((row) => row.case.includes('ppm'));
  const whole = rooms.filter((row) => row.chain.includes('NS'));
  const most = (rows, name, of = greatest) => Math.max(...rows.map((row) => of(row[name])));
  // Medians: other work on the machine is not ours.
  const usual = (rows, name) => most(rows, name, ([median]) => median);
  const sending = usual(whole, 'CPU us') + usual(networks, 'CPU of encoder us');
  const echo = Math.min(...whole.map((row) => least(row['echo down after 2 s dB'])));
  const targets = [
    target('5 % loss, 60 ms jitter: invented', '<= 1 %', greatest(bad['concealed %']), (it) => it <= 1),
    target('5 % loss, 60 ms jitter: mean delay', '<= 100 ms', greatest(bad['mean delay ms']), (it) => it <= 100),
    target('10 % loss in bursts of 4: invented', '<= 2 %', greatest(bursts['concealed %']), (it) => it <= 2),
    target('5 % loss, 60 ms jitter: silence in the first 2 s', '0 ms', greatest(bad['silent in the first 2 s ms']), (it) => it === 0),
    target('CPU to receive 10 ms', '<= 150 us', usual(networks, 'CPU of receiver us'), (it) => it <= 150),
    target('CPU to clean and encode 10 ms', '<= 150 us', sending, (it) => it <= 150),
    target('sound after an outage of 1 s', '<= 200 ms', greatest(outage['sound back ms']), (it) => it <= 200),
    target('clocks 200 ppm apart: invented', '0 %', most(drifting, 'concealed %'), (it) => it === 0),
    target('echo after 2 s, 20 to 200 ms, 50 ppm', '>= 40 dB down', echo, (it) => it >= 40),
  ];
  return { rows: table([...networks, ...rooms]), targets };
}
