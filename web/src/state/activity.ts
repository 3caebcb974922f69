// What a device did in a period, found out from its records: it drove, it stood, it was not heard; doors, defrosts, alarms.
import { alarmNames } from '../i18n/alarms'
import { t } from '../i18n/text'
import type { RecordOf } from './history.svelte'
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

/** Slower is standing: receivers of positions say some km/h where nothing moves. */
const DRIVING_KMH_MIN = 4
/** A shorter halt is part of the drive: traffic lights are no stops. */
const STOP_MS_MIN = 3 * 60_000
/** Alarms of one kind so near each other are one. */
const ALARM_MS = 5 * 60_000

export function activity(records: readonly RecordOf[], times: readonly number[], gap: number, from: number, to: number): Activity {
  const spans = spansOf(records, times, gap)
  const length = (kind: Span['kind']) => spans.filter((span) => span.kind === kind).reduce((sum, span) => sum + span.to - span.from, 0)
  return {
    spans: spans.filter((span) => span.to > from && span.from < to),
    doors: flagged(records, times, gap, (name) => name === 'door.status' || /^reefer\.door\.status\.\d+$/.test(name)),
    defrosts: flagged(records, times, gap, (name) => /^reefer\.defrost\.status\.\d+$/.test(name)),
    alarms: alarmsOf(records, times),
    drivenMs: length('drive'),
    stoppedMs: length('stop'),
    distanceKm: distanceOf(records, times, gap)
  }
}

/** What was so at a moment, what is urgent first: as the newest record before it says, unless that is older than a gap. */
export function heldAt({ spans, doors, defrosts, alarms }: Activity, time: number, record: number | undefined, gap: number): Held[] {
  // At its two ends one is heard.
  const span = spans.filter(({ kind, from, to }) => (kind === 'gap' ? from < time && time < to : from <= time && time <= to)).at(-1)
  const held: Held[] = span ? [span] : []
  if (record === undefined || time - record > gap || span?.kind === 'gap') return held
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

function isDriving(record: RecordOf): boolean | undefined {
  const speed = record['position.speed']
  if (typeof speed === 'number') return speed >= DRIVING_KMH_MIN
  const moves = record['movement.status'] ?? record['engine.ignition.status']
  return typeof moves === 'boolean' ? moves : undefined
}

function spansOf(records: readonly RecordOf[], times: readonly number[], gap: number): Span[] {
  const raw: Span[] = []
  const push = (kind: Span['kind'], from: number, to: number) => {
    const last = raw.at(-1)
    if (last?.kind === kind && last.to === from) last.to = to
    else raw.push({ kind, from, to })
  }
  let known: boolean | undefined
  for (let at = 0; at + 1 < records.length; at += 1) {
    const [now, next] = [times[at] ?? 0, times[at + 1] ?? 0]
    known = isDriving(records[at] ?? {}) ?? known
    if (next - now > gap) push('gap', now, next)
    else if (next > now) push(known ? 'drive' : 'stop', now, next)
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

function flagged(records: readonly RecordOf[], times: readonly number[], gap: number, is: (name: string) => boolean): Interval[] {
  const found: Interval[] = []
  let open: Interval | undefined
  let last = 0
  records.forEach((record, at) => {
    const time = times[at] ?? 0
    if (open && time - last > gap) open = undefined
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

function distanceOf(records: readonly RecordOf[], times: readonly number[], gap: number): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180
  let sum = 0
  let before: { x: number; y: number; time: number } | undefined
  records.forEach((record, at) => {
    const [x, y] = [record['position.longitude'], record['position.latitude']]
    if (typeof x !== 'number' || typeof y !== 'number' || record['position.valid'] === false) return
    const time = times[at] ?? 0
    if (before && time - before.time <= gap && isDriving(record) !== false) {
      const h = Math.sin(radians(y - before.y) / 2) ** 2 + Math.cos(radians(y)) * Math.cos(radians(before.y)) * Math.sin(radians(x - before.x) / 2) ** 2
      sum += 2 * EARTH_KM * Math.asin(Math.sqrt(h))
    }
    before = { x, y, time }
  })
  return sum
}
