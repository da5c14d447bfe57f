// Absolute goals, and figures that must not be worse than a peer's in the same run.
const GOALS = [
  ['5 % loss, 50 ms', 'wholePercent', '>=', 100],
  ['5 % loss, 50 ms', 'inTimePercent', '>=', 99],
  ['5 % loss, 50 ms', 'p95Ms', '<=', 120],
  ['5 % loss, 150 ms', 'wholePercent', '>=', 99.9],
  ['5 % loss, 150 ms', 'inTimePercent', '>=', 97],
  ['5 % loss, 150 ms', 'p99Ms', '<=', 450],
  ['10 % in bursts of 4, 80 ms', 'wholePercent', '>=', 99],
  ['10 % in bursts of 4, 80 ms', 'longestGapMs', '<=', 500],
  ['5 % loss, 50 ms, at the subscriber', 'inTimePercent', '>=', 99],
  ['5 % loss, 50 ms, at the subscriber', 'p95Ms', '<=', 120],
  ['3, 1, 4 Mbit/s', 'use3MbitPercent', '>=', 85],
  ['3, 1, 4 Mbit/s', 'use1MbitPercent', '>=', 85],
  ['3, 1, 4 Mbit/s', 'use4MbitPercent', '>=', 85],
  ['3, 1, 4 Mbit/s', 'longestGapMs', '<=', 1000],
  ['3, 1, 4 Mbit/s', 'queueP95Ms', '<=', 100],
  ['from 0.5 Mbit/s to an open link', 'secondsTo2500Kbps', '<=', 4],
  ['outages of 1 s', 'newPictureAfterMs', '<=', 500],
];
/** Figures in which no peer may be better. */
const COMPARED = {
  inTimePercent: '>=', p95Ms: '<=', frozenMs: '<=', picture3MbitPercent: '>=', picture1MbitPercent: '>=',
  picture4MbitPercent: '>=', secondsTo2500Kbps: '<=', newPictureAfterMs: '<=',
};

const holds = (value, sign, goal) => (sign === '>=' ? value >= goal : value <= goal);

/** Largest offset between video and audio, in every case. */
const MAX_LIP_SYNC_MS = 40;

export function goals(rows) {
  const ours = rows.filter(({ variant }) => variant === 'ours');
  const absolute = GOALS.flatMap(([name, figure, sign, goal]) => {
    const value = ours.find((row) => row.case === name)?.[figure];
    if (value === undefined) return [];
    return [{ name: `${name}: ${figure}`, goal: `${sign} ${goal}`, value, ok: holds(value, sign, goal) }];
  });
  const compared = ours.flatMap((row) =>
    Object.entries(COMPARED).flatMap(([figure, sign]) => {
      const peers = rows.filter((it) => it.case === row.case && !it.variant.startsWith('ours') && it[figure] !== undefined);
      if (row[figure] === undefined || peers.length === 0) return [];
      const values = peers.map((it) => it[figure]);
      const best = sign === '>=' ? Math.max(...values) : Math.min(...values);
      const name = `${row.case}: ${figure}, beside the better peer`;
      return [{ name, goal: `${sign} ${best}`, value: row[figure], ok: holds(row[figure], sign, best) }];
    }));
  const together = rows.filter((row) => row.lipSyncP95Ms !== undefined).map((row) => {
    const [value, name] = [row.lipSyncP95Ms, `${row.case}: lip sync offset, p95, ms`];
    return { name, goal: `<= ${MAX_LIP_SYNC_MS}`, value, ok: value <= MAX_LIP_SYNC_MS };
  });
  return [...absolute, ...together, ...compared];
}
