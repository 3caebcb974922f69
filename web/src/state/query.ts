// A query as it is written: what its parts are, and what can stand where the cursor is.
import type { Tables } from './tables.svelte'

export type Kind = 'word' | 'name' | 'text' | 'number' | 'comment' | 'other'
export interface Token { kind: Kind; text: string }
/** What can stand at a place, and what it is. */
export interface Choice { name: string; detail: string }

/** What the server reads: questions alone, with its functions. */
const KEYWORDS = 'all and any array as asc between by case cast cross current_date current_timestamp desc distinct else end except exists explain extract false filter first following from full group having hour ilike in inner intersect interval is join last lateral left like limit minute not null nulls offset on or order outer over partition preceding qualify range respect right row rows select similar some then true unbounded union unnest using values when where window with within'.split(' ')
const TYPES = 'bigint boolean date double float int integer real smallint text time timestamp varchar'.split(' ')
const FUNCTIONS = 'abs approx_distinct approx_median approx_percentile_cont array_agg array_length avg cardinality ceil coalesce concat count date_bin date_part date_trunc dense_rank first_value floor greatest lag last_value lead least length lower max median min now nullif power rank regexp_like round row_number sqrt starts_with stddev string_agg sum to_char to_timestamp trim upper'.split(' ')
const words = new Set([...KEYWORDS, ...TYPES])

/** More choices than these nobody reads. */
export const CHOICES_MAX = 100

const PARTS = /(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<text>'(?:[^']|'')*(?:'|$))|(?<name>"(?:[^"]|"")*(?:"|$))|(?<number>\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)|(?<word>[\p{L}_][\p{L}\p{N}_$]*)/giu

/** All of a query, in parts. Put together again, they are the query. */
export function tokens(query: string): Token[] {
  const all: Token[] = []
  let at = 0
  for (const match of query.matchAll(PARTS)) {
    if (match.index > at) all.push({ kind: 'other', text: query.slice(at, match.index) })
    const [text] = match
    const kind = (Object.entries(match.groups ?? {}).find(([, found]) => found !== undefined)?.[0] ?? 'other') as Kind
    all.push({ kind: kind === 'word' && !words.has(text.toLowerCase()) ? 'name' : kind, text })
    at = match.index + text.length
  }
  if (at < query.length) all.push({ kind: 'other', text: query.slice(at) })
  return all
}

/** What can stand where the cursor is, and from where on it would. */
export function choices(query: string, cursor: number, tables: Tables): { from: number; all: Choice[] } {
  const before = query.slice(0, cursor)
  const none = { from: cursor, all: [] }
  // Within a text or a comment nothing is known.
  const last = tokens(before).at(-1)
  if (last?.kind === 'comment' || (last?.kind === 'text' && !/^'(?:[^']|'')*'$/.test(last.text))) return none
  const [, owner, begun = ''] = /(?:([\p{L}_][\p{L}\p{N}_]*)\.)?([\p{L}_][\p{L}\p{N}_]*)?$/u.exec(before) ?? []
  const from = cursor - begun.length
  const wanted = begun.toLowerCase()
  const named = tablesOf(query, tables)
  const columns = (of: readonly string[]) => of.flatMap((table) => tables[table] ?? [])
  let all: Choice[]
  if (owner !== undefined) all = columns([named.get(owner.toLowerCase()) ?? ''])
  else if (/\b(from|join)\s+$/i.test(query.slice(0, from))) all = tablesAs(tables)
  else {
    const used = [...new Set(named.values())]
    all = [...columns(used.length ? used : Object.keys(tables)), ...tablesAs(tables), ...FUNCTIONS.map((name) => ({ name, detail: '()' })), ...[...KEYWORDS, ...TYPES].map((name) => ({ name: name.toUpperCase(), detail: '' }))]
  }
  const seen = new Set<string>()
  const found = all.filter(({ name }) => {
    const is = name.toLowerCase().includes(wanted) && name.toLowerCase() !== wanted && !seen.has(name)
    seen.add(name)
    return is
  })
  const starts = ({ name }: Choice) => Number(!name.toLowerCase().startsWith(wanted))
  return { from, all: found.map((one, at) => ({ one, at })).sort((a, b) => starts(a.one) - starts(b.one) || a.at - b.at).map(({ one }) => one).slice(0, CHOICES_MAX) }
}

const tablesAs = (tables: Tables): Choice[] => Object.keys(tables).map((name) => ({ name, detail: 'table' }))

/** The tables of a query, by the names that it has for them. */
function tablesOf(query: string, tables: Tables): Map<string, string> {
  const named = new Map<string, string>()
  for (const [, table = '', alias] of query.matchAll(/\b(?:from|join)\s+([\p{L}_][\p{L}\p{N}_]*)(?:\s+(?:as\s+)?([\p{L}_][\p{L}\p{N}_]*))?/giu)) {
    const known = table.toLowerCase()
    if (!(known in tables)) continue
    named.set(known, known)
    if (alias && !words.has(alias.toLowerCase())) named.set(alias.toLowerCase(), known)
  }
  return named
}
