// What a device did in a period, found out from its records: it drove, it stood, it was not heard; doors, defrosts, alarms.
import { alarmNames } from '../i18n/alarms'
import { t } from '../i18n/text'
import { isDriving, PARKED_MS, pausesOf, type Pauses } from './gap'
import type { RecordOf } from './history.svelte'
import { minute } from './minute.svelte'
import { duration, written } from './time'

export interface Span {
  kind: 'drive' | 'stop' | 'gap'
  from: number
  to: number
}
export interface Interval {
  from: number
  to: number
  /** Whether a record said that it ended. */
  isOver?: boolean
}
export interface AlarmSpan extends Interval {
  names: string[]
}
export interface Activity {
  spans: Span[]
  doors: Interval[]
  defrosts: Interval[]
  alarms: AlarmSpan[]
  drivenMs: number
  stoppedMs: number
  distanceKm: number
}

/** What was so at some moment, of whichever kind. */
export interface Held extends Interval {
  kind: Span['kind'] | 'door' | 'defrost' | 'alarm'
  names?: string[]
}

/** How they are marked, beside their colour. */
export const SIGNS: Partial<Record<Held['kind'], string>> = { door: 'D', defrost: '❄', alarm: '▲' }

/** A shorter halt is part of the drive: traffic lights are no stops. */
const STOP_MS_MIN = 3 * 60_000
/** Alarms of one kind so near each other are one. */
const ALARM_MS = 5 * 60_000

/** Where records are still to come, `isPart` says that nothing is known behind the last one. */
export function activity(records: readonly RecordOf[], times: readonly number[], gap: number, from: number, to: number, isPart = false, pauses = pausesOf(records, times, gap)): Activity {
  // Of what is to come nothing is missing. A day that is over needs no clock.
  const end = isPart ? (times.at(-1) ?? from) : to <= Date.now() ? to : Math.min(to, minute.now)
  const spans = spansOf(records, times, pauses.most, from, end)
  const length = (kind: Span['kind']) => spans.filter((span) => span.kind === kind).reduce((sum, span) => sum + span.to - span.from, 0)
  return {
    spans: spans.filter((span) => span.to > from && span.from < to),
    doors: flagged(records, times, pauses.most, (name) => name === 'door.status' || /^reefer\.door\.status\.\d+$/.test(name)),
    defrosts: flagged(records, times, pauses.most, (name) => /^reefer\.defrost\.status\.\d+$/.test(name)),
    alarms: alarmsOf(records, times),
    drivenMs: length('drive'),
    stoppedMs: length('stop'),
    distanceKm: distanceOf(records, pauses.clock, gap)
  }
}

/** What was so at a moment, what is urgent first: as the newest record before it says, unless that is older than a gap. What stands says little. */
export function heldAt({ spans, doors, defrosts, alarms }: Activity, time: number, record: number | undefined, gap: number): Held[] {
  // At its two ends one is heard.
  const span = spans.filter(({ kind, from, to }) => (kind === 'gap' ? from < time && time < to : from <= time && time <= to)).at(-1)
  const held: Held[] = span ? [span] : []
  if (record === undefined || span?.kind === 'gap' || (time - record > gap && span?.kind !== 'stop')) return held
  const of = (kind: Held['kind'], all: readonly Omit<Held, 'kind'>[]): Held[] =>
    all.filter(({ from, to, isOver }) => from <= record && (isOver ? record < to : record <= to)).map((one) => ({ ...one, kind }))
  return [...of('alarm', alarms), ...of('door', doors), ...of('defrost', defrosts), ...held]
}

/** What people are told of it. */
export function said({ kind, from, to, isOver, names = [] }: Held): string {
  if (kind === 'alarm') return `${t('timeline.alarm')}: ${alarmNames(names)}, ${written(from, 'clockSeconds')}`
  const [what, begin, span] = [t(`timeline.${kind}`), written(from, 'clock'), duration(to - from)]
  if ((kind === 'door' || kind === 'defrost') && !isOver) return t('timeline.since', { what, time: begin, span })
  return `${what}, ${begin}–${written(to, 'clock')}, ${span}`
}

function spansOf(records: readonly RecordOf[], times: readonly number[], most: Pauses['most'], from: number, end: number): Span[] {
  const raw: Span[] = []
  const push = (kind: Span['kind'], from: number, to: number) => {
    const last = raw.at(-1)
    if (last?.kind === kind && last.to === from) last.to = to
    else raw.push({ kind, from, to })
  }
  const first = times[0] ?? from
  // The record before is not here: it may have been parked.
  if (first - from > Math.max(PARKED_MS, most[0] ?? 0)) push('gap', from, first)
  let known: boolean | undefined
  for (let at = 0; at < records.length; at += 1) {
    const [now, next] = [times[at] ?? 0, times[at + 1] ?? end]
    known = isDriving(records[at] ?? {}) ?? known
    if (next - now > (most[at] ?? 0)) push('gap', now, next)
    // Behind the last record, what stands goes on standing; where it drove to nobody knows.
    else if (next > now && (at + 1 < records.length || known === false)) push(known ? 'drive' : 'stop', now, next)
  }
  const merged: Span[] = []
  raw.forEach((span, at) => {
    const last = merged.at(-1)
    const next = raw[at + 1]
    const isHalt = span.kind === 'stop' && span.to - span.from < STOP_MS_MIN && last?.kind === 'drive' && next?.kind === 'drive'
    const kind = isHalt ? 'drive' : span.kind
    if (last?.kind === kind) last.to = span.to
    else merged.push({ ...span, kind })
  })
  return merged
}

function flagged(records: readonly RecordOf[], times: readonly number[], most: Pauses['most'], is: (name: string) => boolean): Interval[] {
  const found: Interval[] = []
  let open: Interval | undefined
  let last = 0
  records.forEach((record, at) => {
    const time = times[at] ?? 0
    if (open && time - last > (most[at - 1] ?? 0)) open = undefined
    last = time
    const values = Object.entries(record).filter(([name]) => is(name)).map(([, value]) => value)
    if (values.length === 0) {
      if (open) open.to = time
      return
    }
    if (values.includes(true)) {
      if (open) open.to = time
      else found.push((open = { from: time, to: time }))
    } else if (open) {
      Object.assign(open, { to: time, isOver: true })
      open = undefined
    }
  })
  return found
}

function alarmsOf(records: readonly RecordOf[], times: readonly number[]): AlarmSpan[] {
  const found: AlarmSpan[] = []
  records.forEach((record, at) => {
    const names = [record.alarm, record['reefer.alarm.codes']].flatMap((list) => (Array.isArray(list) ? list.map(String) : []))
    if (names.length === 0) return
    const time = times[at] ?? 0
    const last = found.at(-1)
    if (last && time - last.to <= ALARM_MS && last.names.join() === names.join()) last.to = time
    else found.push({ from: time, to: time, names })
  })
  return found
}

const EARTH_KM = 6371

function distanceOf(records: readonly RecordOf[], clock: Pauses['clock'], gap: number): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180
  let sum = 0
  let before: { x: number; y: number; time: number } | undefined
  records.forEach((record, at) => {
    const time = clock[at] ?? 0
    const [x, y] = [record['position.longitude'], record['position.latitude']]
    if (typeof x !== 'number' || typeof y !== 'number' || record['position.valid'] === false) return
    if (before && time - before.time <= gap && isDriving(record) !== false) {
      const h = Math.sin(radians(y - before.y) / 2) ** 2 + Math.cos(radians(y)) * Math.cos(radians(before.y)) * Math.sin(radians(x - before.x) / 2) ** 2
      sum += 2 * EARTH_KM * Math.asin(Math.sqrt(h))
    }
    before = { x, y, time }
  })
  return sum
}
