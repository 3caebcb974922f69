// How fast something grows, and how long that goes well.

const DAY_MS = 86_400_000
/** Growth of long ago says little about tomorrow's. */
const DAYS_MAX = 14

/** What is added in a day, on average over the days up to the last one that is known. */
export function growth(days: readonly { day: string; bytes: number | null | undefined }[]): number | undefined {
  const known = days.flatMap(({ day, bytes }) => (typeof bytes === 'number' ? [{ at: Date.parse(day), bytes }] : [])).sort((a, b) => a.at - b.at)
  const last = known.at(-1)
  const first = last && known.find(({ at }) => last.at - at <= DAYS_MAX * DAY_MS)
  if (!first || first === last) return undefined
  return (last.bytes - first.bytes) / ((last.at - first.at) / DAY_MS)
}

/** Days until all is used, where it grows at all and there is an end. */
export function daysLeft(used: number, most: number | null | undefined, perDay: number | undefined): number | undefined {
  if (most === null || most === undefined || perDay === undefined || perDay <= 0) return undefined
  return Math.max(0, Math.floor((most - used) / perDay))
}
