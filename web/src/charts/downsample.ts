// Fewer points for a chart than there are, so that no peak is lost and no gap is closed.

/** A column of a chart: a number, nothing here (`undefined`), or a gap (`null`). */
export type Column = (number | null | undefined)[]

/**
 * Of each piece of time and each series, the lowest and the highest value. Where two records are further apart than `gap`, and
 * where one series pauses for longer than that by the clock that measures pauses, a gap stays.
 */
export function downsample(times: readonly number[], series: readonly (readonly (number | undefined)[])[], [from, to]: readonly [number, number], pieces: number, gap: number, clock = times): { times: number[]; series: Column[] } {
  let [first, last] = [lowerBound(times, from), lowerBound(times, to + 1)]
  // One more on each side: lines run on to the edge.
  first = Math.max(0, first - 1)
  last = Math.min(times.length, last + 1)
  const breaks = series.map((column) => breaksOf(clock, column, first, last, gap))
  const isSparse = last - first <= pieces * 2
  const kept = isSparse ? range(first, last) : extremes(times, series, breaks, first, last, from, (to - from) / pieces)
  const out: { times: number[]; series: Column[] } = { times: [], series: series.map(() => []) }
  const next = series.map(() => 0)
  let before = 0
  for (const at of kept) {
    const time = times[at] ?? 0
    const isBroken = breaks.map((those, of) => {
      let passed = false
      while ((those[next[of] ?? 0]?.[1] ?? Number.POSITIVE_INFINITY) <= at) {
        next[of] = (next[of] ?? 0) + 1
        passed = true
      }
      return passed
    })
    if (isBroken.some(Boolean)) {
      out.times.push((before + time) / 2)
      out.series.forEach((column, of) => column.push(isBroken[of] ? null : undefined))
    }
    out.times.push(time)
    out.series.forEach((column, of) => column.push(series[of]?.[at]))
    before = time
  }
  return out
}

/** Values with a gap, or nothing at all, on both sides: no line leads to them. */
export function isolated(column: Column): number[] {
  const found: number[] = []
  let [count, last] = [0, -1]
  const end = () => {
    if (count === 1) found.push(last)
    count = 0
  }
  column.forEach((value, at) => {
    if (value === null) end()
    else if (value !== undefined) [count, last] = [count + 1, at]
  })
  end()
  return found
}

/** Where a series pauses for longer than the gap: the records before and behind. */
function breaksOf(clock: readonly number[], column: readonly (number | undefined)[], first: number, last: number, gap: number): [number, number][] {
  const found: [number, number][] = []
  let seen = -1
  for (let at = first; at < last; at += 1) {
    if (column[at] === undefined) continue
    if (seen >= 0 && (clock[at] ?? 0) - (clock[seen] ?? 0) > gap) found.push([seen, at])
    seen = at
  }
  return found
}

type Breaks = [number, number][][]

function extremes(times: readonly number[], series: readonly (readonly (number | undefined)[])[], breaks: Breaks, first: number, last: number, from: number, width: number): number[] {
  // A gap keeps both its edges, however many records lie in one piece of time.
  const edges = new Set(breaks.flat(2))
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
    for (let index = at; index < end; index += 1) if (edges.has(index)) those.add(index)
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
