// Who is furthest from its set-point, and who is too far.

/** The items that are furthest from theirs first; those of which that is not known behind them. Equal ones stay as they were. */
export function furthest<T>(items: readonly T[], off: (item: T) => number | undefined): T[] {
  const all = items.map((item) => ({ item, far: Math.abs(off(item) ?? NaN) }))
  return all.sort((a, b) => (Number.isNaN(b.far) ? -1 : b.far) - (Number.isNaN(a.far) ? -1 : a.far)).map(({ item }) => item)
}

/** Devices tell tenths; the difference of two of them is not exact. */
const EXACT_K = 0.01

/** The sign of a value that is further from its set-point than a band is wide: above or below. Without a band, none is. */
export function farSign(off: number | undefined, band: number): '' | '▲' | '▼' {
  if (off === undefined || band <= 0 || Math.abs(off) < band + EXACT_K) return ''
  return off > 0 ? '▲' : '▼'
}
