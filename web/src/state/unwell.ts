// What is wrong with the server, and what to do about each: by its health, by its numbers, and by what those are told who manage tenants.
import type { Schemas } from '../api/client'
import { counted, t } from '../i18n/text'
import { grown, meanMs, size, sum, type Look } from './metrics'
import { span } from './time'

interface Table {
  tenant?: string
  table: string
  why: string
}

/** What `/healthz` answers, which the description of the API does not have. What is absent is well. */
export interface Health {
  healthy: boolean
  ready: boolean
  parts: { part: string; healthy: boolean; problem?: string; replaced: number }[]
  alarms?: string[]
  /** Of which kind each of them is, in their order. */
  alarm_codes?: string[]
  catalog_unwritable?: string
  history_stuck?: { seconds: number; reason: string }
  history_broken?: Table[]
  history_incomplete?: Table[]
  history_damaged?: { files: number; first: { file: string; why: string }[] }
  history_lacks?: number
  listeners_failed?: { listener?: string; tenant?: string; address?: string; why: string }[]
  /** Where more is to be read: whoever is told this is told of no reason and of nobody's name. */
  see?: string
}

/** Something wrong with what to do, and where it is, as the server says it. */
export interface Unwell {
  text: string
  details: string[]
}

/** More is waiting than a moment's work. */
export const LAG_BYTES_MAX = 4 << 20
export const ACK_MS_MAX = 250
/** Rows that come late wait ten minutes, so that they make fewer files. */
export const OLDEST_S_MAX = 1200
const DETAILS_MAX = 10

type Code = Schemas['TroubleCode']

/** What to do about what the server has a code for, where there are so many of it, or it is so for so long. */
export const REMEDIES: Readonly<Record<Code, (n: number, age: string) => string>> = {
  history_stuck: (_, age) => t('system.problem.stuck', { age }),
  table_broken: (n) => counted('system.problem.broken', n),
  table_incomplete: (n) => counted('system.problem.incomplete', n),
  file_damaged: (n) => counted('system.problem.damaged', n),
  history_lacks: (n) => counted('system.problem.lacks', n),
  catalog_unwritable: () => t('system.problem.catalog'),
  budget_near: () => t('system.problem.budget_near'),
  budget_forced: () => t('system.problem.budget'),
  quota_near: () => t('system.problem.quota_near'),
  quota_reached: () => t('system.problem.quota'),
  erasures_unread: () => t('system.problem.erasures'),
  clock_ahead: () => t('system.problem.clock'),
  listener_failed: (n) => t('system.problem.listeners', { n })
}
/** A server that is newer than the page may have a code that has no remedy here. */
const hasRemedy = (code: string): code is Code => Object.hasOwn(REMEDIES, code)

const named = (why: string, ...names: (string | undefined)[]): string => [names.filter(Boolean).join(' '), why].filter(Boolean).join(': ')

/** All of it, the worst first. `troubles` may be half a minute old, and mostly is what health says, too. */
export function unwell(health: Health | undefined, looks: readonly Look[], troubles: readonly Schemas['Trouble'][]): Unwell[] {
  const found: Unwell[] = []
  const say = (text: string, details: string[] = [], total = details.length) => {
    const [shown, more] = [details.slice(0, DETAILS_MAX), total - Math.min(details.length, DETAILS_MAX)]
    found.push({ text, details: more > 0 && shown.length > 0 ? [...shown, t('space.more', { n: more })] : shown })
  }
  // What health has told already is not told twice.
  const told = new Set<string>()
  const tell = (code: Code, n: number, details: string[] = [], age = t('system.problem.stuck.long')) => {
    told.add(code)
    say(REMEDIES[code](n, age), details, n)
  }
  const [now, before] = [looks.at(-1), looks.at(-2)]
  const gauge = (name: string, where?: Record<string, string>) => (now ? sum(now.metrics, name, where) : 0)
  const said: Partial<Health> = health ?? {}
  const { parts = [], alarms = [], alarm_codes: codes = [], history_stuck: stuck, history_damaged: damaged, history_lacks: lacks = 0 } = said
  const { history_broken: broken = [], history_incomplete: incomplete = [], listeners_failed: failed = [] } = said
  // Reasons that say nothing are left out.
  const whys = (those: string[]) => (said.see ? [] : those)
  const tables = (those: Table[]) => whys(those.map(({ tenant, table, why }) => named(why, tenant, table)))

  const isFull = gauge('odograph_journal_full') > 0
  if (isFull) say(t('system.problem.full'))
  for (const { part, healthy, problem } of parts) {
    // With a full disk, that is what the journal's part says.
    if (healthy || (isFull && part === 'journal')) continue
    say(problem ? t('system.problem.part.said', { part, problem }) : t('system.problem.part', { part }))
  }
  if (stuck) tell('history_stuck', 1, whys([stuck.reason]), span(stuck.seconds * 1000))
  if (broken.length) tell('table_broken', broken.length, tables(broken))
  if (incomplete.length) tell('table_incomplete', incomplete.length, tables(incomplete))
  if (damaged) tell('file_damaged', damaged.files, damaged.first.map(({ file, why }) => named(why, file)))
  if (lacks) tell('history_lacks', lacks, troubles.filter(({ code }) => code === 'history_lacks').map(({ what }) => what))
  if (said.catalog_unwritable) tell('catalog_unwritable', 1, whys([said.catalog_unwritable]))
  for (const [at, what] of alarms.entries()) {
    const code = codes[at] ?? ''
    told.add(code)
    if (hasRemedy(code)) tell(code, 1)
    else say(t('system.problem.alarm', { what }))
  }
  const unopened = Math.max(failed.length, gauge('odograph_listeners', { state: 'failed' }))
  if (unopened) tell('listener_failed', unopened, whys(failed.map(({ tenant, listener, address, why }) => named(why, tenant, listener, address))))

  const others = new Map<string, string[]>()
  for (const { code, part, tenant, what } of troubles) {
    if (!told.has(code)) others.set(code, [...(others.get(code) ?? []), named(what, tenant ?? undefined, part)])
  }
  const unknown: string[] = []
  for (const [code, those] of others) {
    if (hasRemedy(code)) tell(code, those.length, those)
    else unknown.push(...those)
  }
  if (unknown.length) say(t('system.problem.other'), unknown)

  const lag = gauge('odograph_pipeline_lag_bytes')
  if (lag > LAG_BYTES_MAX) say(t('system.problem.lag', { size: size(lag) }))
  const oldest = gauge('odograph_lake_oldest_row_seconds')
  if (oldest > OLDEST_S_MAX && !told.has('history_stuck')) say(t('system.problem.oldest', { age: span(oldest * 1000) }))
  const ack = (now && meanMs(before, now, 'odograph_ack_seconds')) ?? 0
  if (ack > ACK_MS_MAX) say(t('system.problem.ack', { ms: Math.round(ack) }))
  // A count that only grows: what was dropped long ago is over.
  if (grown(looks, 'odograph_log_dropped_lines_total')) say(t('system.problem.dropped'))
  return found
}
