// The period that is looked at, as the address says it: `day=2026-11-21`, with `span=week`, or `from` and `to`.
import { addDays, DAY, dayOf, startOf } from './time'

export interface Period {
  kind: 'day' | 'week' | 'range'
  /** The first day. */
  day: string
  /** The last day. */
  last: string
  from: number
  to: number
}

const DAYS_MAX = 93
const isDay = (text: string | undefined): text is string => /^\d{4}-\d{2}-\d{2}$/.test(text ?? '')

/** Where the address names no day, it is that of its cursor, or of the part that is looked at, and without these today. */
export function period(query: Record<string, string>, today: string): Period {
  if (isDay(query.from) && isDay(query.to) && query.from <= query.to) {
    const longest = addDays(query.from, DAYS_MAX - 1)
    const last = query.to < longest ? query.to : longest
    return { kind: 'range', day: query.from, last, from: startOf(query.from), to: startOf(addDays(last, 1)) }
  }
  const day = isDay(query.day) ? query.day : dayIn(query, today)
  const kind = query.span === 'week' ? 'week' : 'day'
  // A week ends with its day: what was, up to today, is what people ask for.
  const first = kind === 'week' ? addDays(day, -6) : day
  return { kind, day: first, last: day, from: startOf(first), to: startOf(addDays(day, 1)) }
}

function dayIn({ t, zoom }: Record<string, string>, today: string): string {
  const moment = Date.parse(t ?? '') || new Date(Number(zoom?.split(',')[0])).getTime()
  const day = moment ? dayOf(moment) : today
  // The end of today is where tomorrow begins.
  return isDay(day) && day < today ? day : today
}

/** The query for the period that lies so many of its lengths later; none ends behind today. */
period.moved = ({ kind, last, from, to }: Period, by: number, today: string): Record<string, string | undefined> => {
  const length = Math.round((to - from) / DAY)
  const wanted = addDays(last, by * length)
  const end = wanted < today ? wanted : today
  return kind === 'range' ? { from: addDays(end, 1 - length), to: end } : { day: end === today ? undefined : end }
}

/** The query for the day of a moment. */
period.at = (time: number): Record<string, string | undefined> => ({ day: dayOf(time), span: undefined, from: undefined, to: undefined })
