// Moments as people read them, in the time zone that they chose.
import { t } from '../i18n/text'
import { settings } from './settings.svelte'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

export const localZone = Intl.DateTimeFormat().resolvedOptions().timeZone

export function zone(): string {
  return settings.zone === 'local' ? localZone : settings.zone
}

type Shape = 'clock' | 'clockSeconds' | 'day' | 'full' | 'date'
const shapes: Record<Shape, Intl.DateTimeFormatOptions> = {
  clock: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  clockSeconds: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  day: { weekday: 'short', day: 'numeric', month: 'short' },
  date: { day: 'numeric', month: 'short', year: 'numeric' },
  full: { day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZoneName: 'short' }
}
const formats = new Map<string, Intl.DateTimeFormat>()

export function written(ms: number, shape: Shape): string {
  const key = `${shape} ${zone()}`
  let format = formats.get(key)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', { ...shapes[shape], timeZone: zone() })
    formats.set(key, format)
  }
  return format.format(ms)
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
  const parts = new Intl.DateTimeFormat('en-CA', { timeZone: zone(), year: 'numeric', month: '2-digit', day: '2-digit' })
  return parts.format(ms)
}

/** When a day begins, which is not always 24 hours after the one before. */
export function startOf(day: string): number {
  const [year = 1970, month = 1, date = 1] = day.split('-').map(Number)
  const utc = Date.UTC(year, month - 1, date)
  // Twice, because the offset is that of another moment where the clock is turned in between.
  const first = utc - offset(utc)
  return utc - offset(first)
}

export function addDays(day: string, days: number): string {
  const [year = 1970, month = 1, date = 1] = day.split('-').map(Number)
  return new Date(Date.UTC(year, month - 1, date + days)).toISOString().slice(0, 10)
}

/** How far the zone is ahead of UTC at a moment. */
export function offset(ms: number): number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone(), hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric'
  })
  const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / SECOND) * SECOND
}
