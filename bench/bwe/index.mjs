// Does the sender find a link's capacity and keep to it? Emulated links, a minute each, five seeds.
import { greatest, lab, least, table, target } from '../lab.mjs';

export async function run() {
  const rows = lab('bandwidth');
  const row = (name) => rows.find((row) => row.case === name);
  const [steps, constant, open, lossy] = ['steps', '1.5 Mbit/s', 'open, from 0.5 Mbit/s', 'open, loss 5 %'].map(row);
  const worstShare = Math.min(...steps['link use %'].map(least));
  const targets = [
    target('3, 1, 4 Mbit/s: least share of the link used, last 15 s of 20', '>= 85 %', worstShare, (it) => it >= 85),
    target('longest gap, the drop to 1 Mbit/s included', '<= 1000 ms', greatest(steps['longest gap ms']), (it) => it <= 1000),
    target('queue p95', '<= 100 ms', greatest(steps['queue p95 ms']), (it) => it <= 100),
    target('open link: 0.5 to 2.5 Mbit/s', '<= 4 s', greatest(open['s to 2.5 Mbit/s']), (it) => it <= 4),
    target('1.5 Mbit/s for a minute: least estimate', '>= 900 kbit/s', least(constant['least estimate kbit/s after 5 s']), (it) => it >= 900),
    target('5 % loss: least share of 4 Mbit/s that arrives', '>= 85 %', Math.min(...lossy['link use %'].map(least)), (it) => it >= 85),
  ];
  return { rows: table(rows), targets };
}
