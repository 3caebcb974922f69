// Queries that are saved for all of the tenant, and those that this browser alone has kept from before there was a place for them.
import { api, Problem, type Schemas } from '../api/client'
import { Attempt } from './attempt.svelte'

export type Saved = Schemas['SavedQuery']
/** A query that this browser alone has. */
export interface Kept { name: string; sql: string }

const KEPT = 'odograph.queries'
/** Whether somebody was asked what becomes of them. */
const ASKED = 'odograph.queries.asked'
/** As the server bounds names. */
export const NAME_CHARS_MAX = 200

export class Queries {
  /** By name. */
  all = $state.raw<Saved[]>([])
  kept = $state.raw<Kept[]>(stored())
  /** Whether it is to be asked what becomes of those that this browser has kept. */
  isOffered = $state(stored().length > 0 && read(ASKED) === null)
  /** The one that was taken or saved last. */
  open = $state.raw<Saved | undefined>()
  readonly attempt = new Attempt()

  load(): Promise<boolean> {
    return this.attempt.do(async () => {
      this.all = await api.get('/api/v1/queries')
    })
  }

  /** Saves a new one. Throws a `Problem` where it cannot be. */
  async create(name: string, sql: string): Promise<void> {
    this.open = this.#took(await api.post('/api/v1/queries', { body: { name, sql } }))
  }

  /** Changes one. Throws a `Problem` where it cannot be. */
  async change(id: string, body: Schemas['QueryChange']): Promise<void> {
    this.open = this.#took(await api.patch('/api/v1/queries/{id}', { path: { id }, body }))
  }

  remove(id: string): Promise<boolean> {
    return this.attempt.do(async () => {
      await api.delete('/api/v1/queries/{id}', { path: { id } })
      this.all = this.all.filter((one) => one.id !== id)
      if (this.open?.id === id) this.open = undefined
    })
  }

  /** Saves what this browser has kept for everyone, under names that nothing else has. What cannot be saved stays here. */
  move(by: string): Promise<boolean> {
    return this.attempt.do(async () => {
      // Others may have saved some since.
      this.all = await api.get('/api/v1/queries')
      let left: Problem | undefined
      for (const { name, sql } of this.kept) {
        try {
          const isThere = this.all.some((one) => one.name === name && one.sql === sql)
          if (!isThere) this.#took(await api.post('/api/v1/queries', { body: { name: freeName(name, by, this.all), sql } }))
          this.forget(name)
        } catch (error) {
          // What is wrong with one is not with the others.
          if (!(error instanceof Problem) || error.status !== 400) throw error
          left ??= new Problem(error.status, error.code, error.title, `${name}: ${error.detail}`)
        }
      }
      this.leave()
      if (left) throw left
    })
  }

  /** Those that are kept stay here, and nobody is asked again. */
  leave(): void {
    this.isOffered = false
    write(ASKED, 'yes')
  }

  /** This browser keeps one no longer. */
  forget(name: string): void {
    this.kept = this.kept.filter((one) => one.name !== name)
    write(KEPT, JSON.stringify(Object.fromEntries(this.kept.map((one) => [one.name, one.sql]))))
    if (this.kept.length === 0) this.isOffered = false
  }

  #took(query: Saved): Saved {
    const others = this.all.filter(({ id }) => id !== query.id)
    this.all = [...others, query].sort((a, b) => (a.name < b.name ? -1 : 1))
    return query
  }
}

/** A name that none of the others has: with who it is from, and a number, where that takes it. */
export function freeName(name: string, by: string, others: readonly { name: string }[]): string {
  const taken = new Set(others.map((one) => one.name))
  for (let number = 0; ; number += 1) {
    const end = number === 0 ? '' : number === 1 ? ` (${by})` : ` (${by} ${number})`
    const found = [...name].slice(0, NAME_CHARS_MAX - [...end].length).join('').trimEnd() + end
    if (!taken.has(found)) return found
  }
}

function stored(): Kept[] {
  try {
    const kept: unknown = JSON.parse(read(KEPT) ?? '{}')
    if (typeof kept !== 'object' || kept === null) return []
    return Object.entries(kept).flatMap(([name, sql]) => (typeof sql === 'string' ? [{ name, sql }] : []))
  } catch {
    return []
  }
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function write(key: string, text: string): void {
  try {
    localStorage.setItem(key, text)
  } catch {
    // A browser that keeps nothing has kept nothing.
  }
}
