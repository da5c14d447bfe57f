// Do frames arrive complete and in time with loss in both directions? 2.5 Mbit/s, a minute each, five seeds.
import { greatest, lab, least, table, target } from '../lab.mjs';

export async function run() {
  const rows = lab('loss');
  const row = (roundTrip, loss) => rows.find((row) => row['round trip ms'] === roundTrip && row.loss === loss);
  const [near, far, bursts] = [row(50, '5 %'), row(150, '5 %'), row(80, '10 % bursts')];
  const targets = [
    target('5 %, 50 ms: whole frames', '100 %', least(near['whole %']), (it) => it >= 100),
    target('5 %, 50 ms: within 200 ms of the capture', '>= 99 %', least(near['within 200 ms %']), (it) => it >= 99),
    target('5 %, 50 ms: latency p95', '<= 217 ms', greatest(near['latency p95 ms']), (it) => it <= 217),
    target('5 %, 150 ms: whole frames', '>= 99.9 %', least(far['whole %']), (it) => it >= 99.9),
    target('5 %, 150 ms: latency p95', '<= 464 ms', greatest(far['latency p95 ms']), (it) => it <= 464),
    target('10 % in bursts, 80 ms: whole frames', '>= 99 %', least(bursts['whole %']), (it) => it >= 99),
  ];
  return { rows: table(rows), targets };
}
