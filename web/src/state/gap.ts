// How far apart two records are that do not belong together.

const GAP_MS_MIN = 10 * 60_000
/** So many times the usual distance of two records is a gap. */
const GAP_FACTOR = 6
/** So many distances tell what is usual. */
const SAMPLES = 500

export function gapOf(times: readonly number[]): number {
  if (times.length < 3) return GAP_MS_MIN
  const step = Math.max(1, Math.floor(times.length / SAMPLES))
  const between: number[] = []
  for (let at = 1; at < times.length; at += step) between.push((times[at] ?? 0) - (times[at - 1] ?? 0))
  between.sort((a, b) => a - b)
  return Math.max(GAP_MS_MIN, GAP_FACTOR * (between[Math.floor(between.length / 2)] ?? 0))
}
