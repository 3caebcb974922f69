// Fewer points for a chart than there are, so that no peak is lost and no gap is closed.

/** A column of a chart: a number, nothing here (`undefined`), or a gap (`null`). */
export type Column = (number | null | undefined)[]

/**
 * Of each piece of time and each series, the lowest and the highest value. Where two records are further apart than `gap`, and
 * where one series pauses for longer than that, a gap stays.
 */
export function downsample(times: readonly number[], series: readonly (readonly (number | undefined)[])[], [from, to]: readonly [number, number], pieces: number, gap: number): { times: number[]; series: Column[] } {
  let [first, last] = [lowerBound(times, from), lowerBound(times, to + 1)]
  // One more on each side: lines run on to the edge.
  first = Math.max(0, first - 1)
  last = Math.min(times.length, last + 1)
  const kept = last - first <= pieces * 2 ? range(first, last) : extremes(times, series, first, last, from, (to - from) / pieces)
  const out: { times: number[]; series: Column[] } = { times: [], series: series.map(() => []) }
  const lastSeen = series.map(() => Number.NEGATIVE_INFINITY)
  let before = Number.NEGATIVE_INFINITY
  for (const at of kept) {
    const time = times[at] ?? 0
    const isBroken = series.map((column, of) => column[at] !== undefined && time - (lastSeen[of] ?? 0) > gap && lastSeen[of] !== Number.NEGATIVE_INFINITY)
    if (isBroken.some(Boolean)) {
      out.times.push((before + time) / 2)
      out.series.forEach((column, of) => column.push(isBroken[of] ? null : undefined))
    }
    out.times.push(time)
    out.series.forEach((column, of) => {
      const value = series[of]?.[at]
      if (value !== undefined) lastSeen[of] = time
      column.push(value)
    })
    before = time
  }
  return out
}

function extremes(times: readonly number[], series: readonly (readonly (number | undefined)[])[], first: number, last: number, from: number, width: number): number[] {
  const kept: number[] = []
  let at = first
  while (at < last) {
    const piece = Math.floor(((times[at] ?? 0) - from) / width)
    let end = at
    while (end < last && Math.floor(((times[end] ?? 0) - from) / width) === piece) end += 1
    const those = new Set([at, end - 1])
    for (const column of series) {
      let [low, high] = [-1, -1]
      for (let index = at; index < end; index += 1) {
        const value = column[index]
        if (value === undefined) continue
        if (low < 0 || value < (column[low] ?? 0)) low = index
        if (high < 0 || value > (column[high] ?? 0)) high = index
      }
      if (low >= 0) those.add(low).add(high)
    }
    kept.push(...[...those].sort((a, b) => a - b))
    at = end
  }
  return kept
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first }, (_, index) => first + index)
}

function lowerBound(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] ?? 0) < time) low = middle + 1
    else high = middle
  }
  return low
}
