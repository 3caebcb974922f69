// The period that is looked at, as the address says it: `day=2026-11-21`, with `span=week`, or `from` and `to`, which are days, or
// milliseconds in a link that was copied: a day of whoever sends one is another one elsewhere.
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
const isMoment = (text: string | undefined): boolean => /^\d{10,14}$/.test(text ?? '')

/** Where the address names no day, or another one, it is that of its cursor, or of the part that is looked at, and without these today. */
export function period(query: Record<string, string>, today: string): Period {
  const [from, wanted] = [boundOf(query.from, 0), boundOf(query.to, 1)]
  if (from < wanted) {
    const day = dayOf(from)
    const to = Math.min(wanted, startOf(addDays(day, DAYS_MAX)))
    const last = dayOf(to - 1)
    // What a link says may be a day here, too, or a week, and then goes on as one.
    const isWhole = isMoment(query.from) && isMoment(query.to) && from === startOf(day) && to === startOf(addDays(last, 1))
    const kind = isWhole && last === day ? 'day' : isWhole && last === addDays(day, 6) ? 'week' : 'range'
    return { kind, day, last, from, to }
  }
  const kind = query.span === 'week' ? 'week' : 'day'
  const named = endingWith(isDay(query.day) ? query.day : dayIn(query, today), kind)
  const moment = momentIn(query)
  // Days are those of whoever looks: a moment of somebody else's may be of the next one here.
  return moment < named.from || moment > named.to ? endingWith(dayIn(query, today), kind) : named
}

/** A week ends with its day: what was, up to today, is what people ask for. */
function endingWith(last: string, kind: 'day' | 'week'): Period {
  const day = kind === 'week' ? addDays(last, -6) : last
  return { kind, day, last, from: startOf(day), to: startOf(addDays(last, 1)) }
}

const boundOf = (text: string | undefined, later: number): number => (isDay(text) ? startOf(addDays(text, later)) : isMoment(text) ? Number(text) : Number.NaN)

/** What the address says that is looked at; none, where it says nothing. */
const momentIn = ({ t, zoom }: Record<string, string>): number => Date.parse(t ?? '') || new Date(Number(zoom?.split(',')[0])).getTime() || Number.NaN

function dayIn(query: Record<string, string>, today: string): string {
  const moment = momentIn(query)
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
