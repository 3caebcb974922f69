// What is wrong with the server, and what to do about each: by its health, by its numbers, and by what those are told who manage tenants.
import type { Schemas } from '../api/client'
import { counted, t, type Key } from '../i18n/text'
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
const DETAILS_MAX = 10

/** What to do about an alarm of the server, by what its sentence has. */
const ALARMS: readonly (readonly [RegExp, Key])[] = [
  [/soon force out/, 'system.problem.budget_near'],
  [/forced out/, 'system.problem.budget'],
  [/near a quota/, 'system.problem.quota_near'],
  [/reached a quota/, 'system.problem.quota'],
  [/ordered to be erased/, 'system.problem.erasures'],
  [/the clock/, 'system.problem.clock']
]

const named = (why: string, ...names: (string | undefined)[]): string => [names.filter(Boolean).join(' '), why].filter(Boolean).join(': ')

/** All of it, the worst first. `troubles` may be half a minute old, and mostly is what health says, too. */
export function unwell(health: Health | undefined, looks: readonly Look[], troubles: readonly Schemas['Trouble'][]): Unwell[] {
  const found: Unwell[] = []
  const say = (text: string, details: string[] = [], total = details.length) => {
    const [shown, more] = [details.slice(0, DETAILS_MAX), total - Math.min(details.length, DETAILS_MAX)]
    found.push({ text, details: more > 0 && shown.length > 0 ? [...shown, t('space.more', { n: more })] : shown })
  }
  const [now, before] = [looks.at(-1), looks.at(-2)]
  const gauge = (name: string, where?: Record<string, string>) => (now ? sum(now.metrics, name, where) : 0)
  const said: Partial<Health> = health ?? {}
  const { parts = [], alarms = [], history_stuck: stuck, history_damaged: damaged, history_lacks: lacks = 0 } = said
  const { history_broken: broken = [], history_incomplete: incomplete = [], listeners_failed: failed = [] } = said
  // Reasons that say nothing are left out.
  const whys = (those: string[]) => (said.see ? [] : those)
  const tables = (those: Table[]) => whys(those.map(({ tenant, table, why }) => named(why, tenant, table)))

  const isFull = gauge('odograph_journal_full') > 0
  if (isFull) say(t('system.problem.full'))
  for (const { part, healthy, problem } of parts) {
    if (healthy || (isFull && /disk is full/.test(problem ?? ''))) continue
    say(problem ? t('system.problem.part.said', { part, problem }) : t('system.problem.part', { part }))
  }
  if (stuck) say(t('system.problem.stuck', { age: span(stuck.seconds * 1000) }), whys([stuck.reason]))
  if (broken.length) say(counted('system.problem.broken', broken.length), tables(broken))
  if (incomplete.length) say(counted('system.problem.incomplete', incomplete.length), tables(incomplete))
  if (damaged) say(counted('system.problem.damaged', damaged.files), damaged.first.map(({ file, why }) => named(why, file)), damaged.files)
  const places = troubles.filter(({ part, what }) => part === 'history' && what !== stuck?.reason).map(({ what }) => what)
  if (lacks) say(counted('system.problem.lacks', lacks), places, lacks)
  if (said.catalog_unwritable) say(t('system.problem.catalog'), whys([said.catalog_unwritable]))
  for (const what of alarms) {
    const key = ALARMS.find(([like]) => like.test(what))?.[1]
    say(key ? t(key) : t('system.problem.alarm', { what }))
  }
  const unopened = Math.max(failed.length, gauge('odograph_listeners', { state: 'failed' }))
  if (unopened) say(t('system.problem.listeners', { n: unopened }), whys(failed.map(({ tenant, listener, address, why }) => named(why, tenant, listener, address))), unopened)

  // What health has told already is not told twice.
  const told: Record<string, unknown> = { catalog: said.catalog_unwritable, history: stuck ?? lacks, file: damaged, listener: unopened }
  const isTold = (part: string) => Boolean(told[part]) || [...broken, ...incomplete].some(({ table }) => table === part)
  const others = troubles.filter(({ part }) => !isTold(part))
  if (others.length) say(t('system.problem.other'), others.map(({ part, tenant, what }) => named(what, tenant ?? undefined, part)))

  const lag = gauge('odograph_pipeline_lag_bytes')
  if (lag > LAG_BYTES_MAX) say(t('system.problem.lag', { size: size(lag) }))
  const ack = (now && meanMs(before, now, 'odograph_ack_seconds')) ?? 0
  if (ack > ACK_MS_MAX) say(t('system.problem.ack', { ms: Math.round(ack) }))
  // A count that only grows: what was dropped long ago is over.
  if (grown(looks, 'odograph_log_dropped_lines_total')) say(t('system.problem.dropped'))
  return found
}
