// How far apart two records are that do not belong together. While it is parked, a device says so seldom: there it is further.
import type { RecordOf } from './history.svelte'

const GAP_MS_MIN = 10 * 60_000
/** So many times the usual distance of two records is a gap. */
const GAP_FACTOR = 6
/** So many distances tell what is usual. */
const SAMPLES = 500
/** Parked devices report every half an hour or hour: the server, too, takes one for heard of that long. */
export const PARKED_MS = 65 * 60_000
/** As the server has it: slower is standing, as receivers of positions say some km/h where nothing moves, and more of them while the ignition is off. */
const DRIVING_KMH_MIN = 4
const DRIVING_OFF_KMH_MIN = 10

/** No gap is shorter than `least`: where only some records of each step of time are here, values of two steps belong together. */
export function gapOf(times: readonly number[], least = 0): number {
  const shortest = Math.max(GAP_MS_MIN, least)
  if (times.length < 3) return shortest
  const step = Math.max(1, Math.floor(times.length / SAMPLES))
  const between: number[] = []
  for (let at = 1; at < times.length; at += step) between.push((times[at] ?? 0) - (times[at - 1] ?? 0))
  between.sort((a, b) => a - b)
  return Math.max(shortest, GAP_FACTOR * (between[Math.floor(between.length / 2)] ?? 0))
}

/** Whether it drives, where a record says something of that. */
export function isDriving(record: RecordOf): boolean | undefined {
  const [speed, ignition] = [record['position.speed'], record['engine.ignition.status']]
  if (typeof speed === 'number') return speed >= (ignition === false ? DRIVING_OFF_KMH_MIN : DRIVING_KMH_MIN)
  const moves = record['movement.status'] ?? ignition
  return typeof moves === 'boolean' ? moves : undefined
}

export interface Pauses {
  /** So long after each record the next one may come. */
  most: number[]
  /** The times of the records by a clock that goes slower while the device is parked: by it, what is further apart than the gap is one. */
  clock: number[]
}

/** A part of which all records are here, where elsewhere only some are, and how far apart they may be there. */
export interface Whole {
  from: number
  to: number
  gap: number
}

/** Whoever draws a period asks for the same. */
const known = new WeakMap<readonly RecordOf[], Pauses & { gap: number }>()

/** How far apart records, and values that are not in each of them, may be: `gap`, longer where the device is parked, and less in a part that is whole. */
export function pausesOf(records: readonly RecordOf[], times: readonly number[], gap: number, whole?: Whole): Pauses {
  const before = known.get(records)
  if (!whole && before?.gap === gap) return before
  const made = { gap, most: [] as number[], clock: [] as number[] }
  let drives: boolean | undefined
  let isOn: unknown
  const longest = (gap: number) => (drives === false && isOn !== true ? Math.max(gap, PARKED_MS) : gap)
  let time = times[0] ?? 0
  records.forEach((record, at) => {
    drives = isDriving(record) ?? drives
    isOn = record['engine.ignition.status'] ?? isOn
    const now = times[at] ?? 0
    const pause = (times[at + 1] ?? Number.POSITIVE_INFINITY) - now
    // At the part's edges the next record may not be here: of such a pause, what lies within the part is known.
    const within = whole ? Math.min(now + pause, whole.to) - Math.max(now, whole.from) : -1
    const most = whole && (within === pause || within > longest(whole.gap)) ? longest(whole.gap) : longest(gap)
    made.most.push(most)
    made.clock.push(time)
    // Whole milliseconds: a pause that is just as long as it may be is none.
    time += Math.round((((times[at + 1] ?? now) - now) * gap) / most)
  })
  if (!whole) known.set(records, made)
  return made
}
