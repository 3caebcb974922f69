// Moments as people read them, in the zone that holds on the page.
import { t } from '../i18n/text'
import { zone } from './zone.svelte'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

type Shape = 'clock' | 'clockSeconds' | 'day' | 'full' | 'date'
const shapes: Record<Shape, Intl.DateTimeFormatOptions> = {
  clock: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  clockSeconds: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  day: { weekday: 'short', day: 'numeric', month: 'short' },
  date: { day: 'numeric', month: 'short', year: 'numeric' },
  full: { day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZoneName: 'short' }
}
/** By what they are for and their zone: to make one takes longer than to use it a hundred times. */
const formats = new Map<string, Intl.DateTimeFormat>()

function format(of: string, locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const timeZone = zone()
  const key = `${of} ${timeZone}`
  let made = formats.get(key)
  if (!made) {
    made = new Intl.DateTimeFormat(locale, { ...options, timeZone })
    formats.set(key, made)
  }
  return made
}

export function written(ms: number, shape: Shape): string {
  return format(shape, 'en-GB', shapes[shape]).format(ms)
}

/** How long ago, in one unit: `4 s`, `12 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  if (ms < MINUTE) return t('age.s', { n: Math.max(0, Math.floor(ms / SECOND)) })
  if (ms < HOUR) return t('age.min', { n: Math.floor(ms / MINUTE) })
  if (ms < 2 * DAY) return t('age.h', { n: Math.floor(ms / HOUR) })
  return t('age.d', { n: Math.floor(ms / DAY) })
}

/** A length of time, in two units where it is long: `1 h 20 min`. */
export function duration(ms: number): string {
  if (ms < HOUR) return span(ms)
  const [hours, minutes] = [Math.floor(ms / HOUR), Math.floor((ms % HOUR) / MINUTE)]
  return minutes ? `${t('age.h', { n: hours })} ${t('age.min', { n: minutes })}` : t('age.h', { n: hours })
}

/** Year, month and day of a moment, as `2026-11-21`. */
export function dayOf(ms: number): string {
  return format('dayOf', 'en-CA', { year: 'numeric', month: '2-digit', day: '2-digit' }).format(ms)
}

/** When a day begins, which is not always 24 hours after the one before. */
export function startOf(day: string): number {
  const [year = 1970, month = 1, date = 1] = day.split('-').map(Number)
  const utc = Date.UTC(year, month - 1, date)
  // By the offsets on both sides, because the clock may be turned within the day, and at its very beginning.
  const moments = [utc - offset(utc - DAY), utc - offset(utc + DAY)]
  const first = Math.min(...moments)
  return dayOf(first) === day ? first : Math.max(...moments)
}

export function addDays(day: string, days: number): string {
  const [year = 1970, month = 1, date = 1] = day.split('-').map(Number)
  return new Date(Date.UTC(year, month - 1, date + days)).toISOString().slice(0, 10)
}

/** How far the zone is ahead of UTC at a moment. */
export function offset(ms: number): number {
  const of = format('offset', 'en-US', {
    hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric'
  })
  const parts = Object.fromEntries(of.formatToParts(ms).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / SECOND) * SECOND
}

/** What clocks show at a moment, as a field for it has it: `2026-11-21T10:04:46`. */
export function wallOf(ms: number): string {
  return new Date(ms + offset(ms)).toISOString().slice(0, 19)
}

/** The moment at which clocks show this; no number, if it is no time. */
export function momentOf(wall: string): number {
  const utc = Date.parse(`${wall}Z`)
  // By the offset that holds there: clocks may be turned between the two.
  return Number.isFinite(utc) ? utc - offset(utc - offset(utc)) : Number.NaN
}

/** Where clocks show a whole number of steps, from one moment to another: where they are turned, the next one is nearer or further. Of
 * several days, from the first midnight on. */
export function ticks(from: number, to: number, step: number): number[] {
  const those: number[] = []
  if (step >= DAY) {
    for (let day = dayOf(from); startOf(day) <= to; day = addDays(day, Math.round(step / DAY))) if (startOf(day) >= from) those.push(startOf(day))
    return those
  }
  const off = (at: number) => (((at + offset(at)) % step) + step) % step
  let at = from - off(from)
  while (at <= to) {
    if (at >= from && off(at) === 0) those.push(at)
    const late = off(at + step)
    // Between the two, clocks may have been turned.
    const [before, after] = [at + step - late, at + 2 * step - late]
    at = before > at && off(before) === 0 ? before : after
  }
  return those
}
