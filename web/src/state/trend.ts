// Whether the value that is shown of a device rises or falls: two of its readings, some minutes apart.
import { readingOf, type Said } from './reading'

export type Trend = 'up' | 'down' | 'level' | undefined

/** Two readings of one device are compared if they are so far apart. */
const TREND_MS = 5 * 60_000
/** What changes by less is steady so far: it is compared with the same reading again, so that a slow change adds up. */
const STEADY = 0.3
/** What has changed by less in so long is steady. */
const STEADY_MS = 30 * 60_000

export class Trends {
  #value = ''
  #before = new Map<string, { name: string; at: number; value: number; trend: Trend }>()

  /** Which value is shown. What is known of the same one stays: whoever comes back to the list finds its trends there. */
  watch(value: string): void {
    if (value !== this.#value) this.forget()
    this.#value = value
  }

  forget(): void {
    this.#before.clear()
  }

  of(id: string): Trend {
    return this.#before.get(id)?.trend
  }

  hear(id: string, said: Said): void {
    const reading = readingOf(said, this.#value)
    if (!reading) return
    const { name, value, time: at } = reading
    if (typeof value !== 'number' || at === undefined) return
    const before = this.#before.get(id)
    // A clock that was ahead and is right again has nothing to be compared with, and neither has another probe.
    if (!before || before.name !== name || at < before.at) this.#before.set(id, { name, at, value, trend: undefined })
    else if (at - before.at >= TREND_MS) {
      const change = value - before.value
      const isSteady = Math.abs(change) < STEADY
      if (isSteady && at - before.at < STEADY_MS) before.trend ??= 'level'
      else this.#before.set(id, { name, at, value, trend: isSteady ? 'level' : change > 0 ? 'up' : 'down' })
    }
  }
}
