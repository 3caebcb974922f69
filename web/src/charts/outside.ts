// How long a value was outside of the band around its set-point: of the line as it is drawn, from one value to the next.

type Values = readonly (number | undefined)[]

export interface Outside {
  /** So long both are known. */
  knownMs: number
  outsideMs: number
  /** The longest stretch, and when it began. */
  longestMs: number
  longestFrom: number
}

/**
 * Between `from` and `to`. A value runs straight to the next one, and a set-point holds until the next one says something else; where
 * either pauses for longer than `gap` by the clock that measures pauses, nothing is known.
 */
export function outside(times: readonly number[], values: Values, setPoints: Values, tolerance: number, [from, to]: readonly [number, number], gap: number, clock = times): Outside {
  const found: Outside = { knownMs: 0, outsideMs: 0, longestMs: 0, longestFrom: from }
  let stretch: [number, number] = [NaN, NaN]
  const add = ([begin, end]: readonly [number, number]) => {
    if (end <= begin) return
    found.outsideMs += end - begin
    stretch = [stretch[1] === begin ? stretch[0] : begin, end]
    if (end - stretch[0] > found.longestMs) [found.longestMs, found.longestFrom] = [end - stretch[0], stretch[0]]
  }
  const within = clock[times.findIndex((time) => time >= from)]
  if (within === undefined) return found
  // From the first record on from which a line may lead into what is looked at.
  const first = clock.findIndex((time) => time >= within - gap)
  const held = holding(clock, setPoints, first, gap)
  let before = -1
  for (let at = first; at < times.length && (times[before] ?? from) <= to; at += 1) {
    const value = values[at]
    if (value === undefined) continue
    const [begin, end] = [times[before] ?? -Infinity, times[at] ?? 0]
    const last = values[before] ?? value
    const line = (time: number) => last + ((value - last) * (time - begin)) / (end - begin)
    const isJoined = (clock[at] ?? 0) - (clock[before] ?? -Infinity) <= gap
    for (let piece = before; isJoined && piece < at; piece += 1) {
      const wanted = held[piece - first]
      const [left, right] = [Math.max(times[piece] ?? 0, from), Math.min(times[piece + 1] ?? 0, to)]
      if (wanted === undefined || right <= left) continue
      found.knownMs += right - left
      for (const part of beyond(left, right, line(left) - wanted, line(right) - wanted, tolerance)) add(part)
    }
    before = at
  }
  return found
}

/** The set-point that holds from a record on until the next one. */
function holding(clock: readonly number[], setPoints: Values, first: number, gap: number): (number | undefined)[] {
  const held: (number | undefined)[] = []
  let before = -1
  for (let at = first; at < clock.length; at += 1) {
    held.push(undefined)
    if (setPoints[at] === undefined) continue
    if (before >= 0 && (clock[at] ?? 0) - (clock[before] ?? 0) <= gap) held.fill(setPoints[before], before - first, at - first)
    before = at
  }
  return held
}

/** The parts of a piece of time in which a straight line is further than so far from zero, in their order. */
function beyond(begin: number, end: number, first: number, last: number, tolerance: number): [number, number][] {
  const at = (level: number) => begin + ((level - first) / (last - first)) * (end - begin)
  const side = (sign: 1 | -1): [number, number] => {
    const [isFirst, isLast] = [sign * first > tolerance, sign * last > tolerance]
    if (!isFirst && !isLast) return [begin, begin]
    return [isFirst ? begin : at(sign * tolerance), isLast ? end : at(sign * tolerance)]
  }
  return first > last ? [side(1), side(-1)] : [side(-1), side(1)]
}
