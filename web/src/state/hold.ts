// A list under a pointer, or where the keys are: nothing comes, goes or moves in it until they leave.

export interface Held<T> {
  rows: T[]
  /** Keys of those rows that do not belong there any more. */
  gone: ReadonlySet<string>
  /** How many belong there that are none of the rows. */
  fresh: number
  /** Whether the rows would stand otherwise. */
  isMoved: boolean
}

/** What is shown of a list as it is now, while rows of before are held. */
export function hold<T>(held: readonly T[] | undefined, now: T[], key: (item: T) => string): Held<T> {
  if (!held) return { rows: now, gone: new Set(), fresh: 0, isMoved: false }
  const byKey = new Map(now.map((item) => [key(item), item]))
  const before = held.map(key)
  const were = new Set(before)
  const stays = before.filter((one) => byKey.has(one))
  const order = [...byKey.keys()].filter((one) => were.has(one))
  return {
    rows: held.map((item) => byKey.get(key(item)) ?? item),
    gone: new Set(before.filter((one) => !byKey.has(one))),
    fresh: byKey.size - order.length,
    isMoved: stays.some((one, at) => one !== order[at])
  }
}
