// Saved queries: those that a browser has kept are moved once, and none of them is lost on the way.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { freeName, NAME_CHARS_MAX, Queries, type Saved } from '../../src/state/queries.svelte'

let kept: Map<string, string>
/** What the server has. */
let saved: Saved[]
let refusal: ((name: string) => number | undefined) | undefined

const query = (name: string, sql: string): Saved => ({ id: `id of ${name}`, name, sql, created_by: 'anna', created: 1, updated: 1, changeable: true })
const there = () => saved.map(({ name, sql }) => `${name}: ${sql}`).sort()
const here = () => JSON.parse(kept.get('odograph.queries') ?? '{}') as Record<string, string>

beforeEach(() => {
  ;[saved, refusal] = [[], undefined]
  kept = new Map([['odograph.queries', JSON.stringify({ Cold: 'SELECT 1', Warm: 'SELECT 2', Wet: 'SELECT 3' })]])
  Object.defineProperty(globalThis, 'localStorage', {
    configurable: true,
    value: { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, text: string) => void kept.set(key, text) }
  })
  mock.method(globalThis, 'fetch', async (_: string, { method, body }: RequestInit) => {
    if (method === 'GET') return Response.json(saved)
    const { name, sql } = JSON.parse(String(body)) as Saved
    const status = refusal?.(name)
    if (status) return Response.json({ status, code: 'invalid', title: 'Wrong', detail: 'sql: is wrong' }, { status })
    saved.push(query(name, sql))
    return Response.json(query(name, sql), { status: 201 })
  })
})
afterEach(() => mock.restoreAll())

test('those of the browser are offered, moved, and gone from it', async () => {
  const queries = new Queries()
  assert.deepEqual([queries.isOffered, queries.kept.length], [true, 3])
  assert.equal(await queries.move('anna'), true)
  assert.deepEqual(there(), ['Cold: SELECT 1', 'Warm: SELECT 2', 'Wet: SELECT 3'])
  assert.deepEqual([queries.isOffered, queries.kept, here()], [false, [], {}])
  assert.deepEqual(queries.all.map(({ name }) => name), ['Cold', 'Warm', 'Wet'])
})

test('a name that is taken gets whose it is, and what is there already is not saved twice', async () => {
  saved = [query('Cold', 'SELECT 7'), query('Warm', 'SELECT 2'), query('Wet', 'SELECT 8'), query('Wet (anna)', 'SELECT 9')]
  const queries = new Queries()
  await queries.move('anna')
  assert.deepEqual(there(), ['Cold (anna): SELECT 1', 'Cold: SELECT 7', 'Warm: SELECT 2', 'Wet (anna 2): SELECT 3', 'Wet (anna): SELECT 9', 'Wet: SELECT 8'])
  assert.deepEqual(here(), {})
})

test('whoever leaves them where they are is not asked again, and has them still', () => {
  const queries = new Queries()
  queries.leave()
  assert.equal(queries.isOffered, false)
  const later = new Queries()
  assert.deepEqual([later.isOffered, later.kept.map(({ name }) => name)], [false, ['Cold', 'Warm', 'Wet']])
  later.forget('Warm')
  assert.deepEqual(here(), { Cold: 'SELECT 1', Wet: 'SELECT 3' })
})

test('one that the server does not take stays, and the others are moved', async () => {
  refusal = (name) => (name === 'Warm' ? 400 : undefined)
  const queries = new Queries()
  assert.equal(await queries.move('anna'), false)
  assert.equal(queries.attempt.problem?.detail, 'Warm: sql: is wrong')
  assert.deepEqual([there(), here()], [['Cold: SELECT 1', 'Wet: SELECT 3'], { Warm: 'SELECT 2' }])
  assert.equal(new Queries().isOffered, false)
})

test('where the server fails, what is left is offered again', async () => {
  refusal = (name) => (name === 'Warm' ? 503 : undefined)
  const queries = new Queries()
  assert.equal(await queries.move('anna'), false)
  assert.deepEqual([there(), here()], [['Cold: SELECT 1'], { Warm: 'SELECT 2', Wet: 'SELECT 3' }])
  assert.deepEqual([queries.isOffered, new Queries().isOffered], [true, true])
  refusal = undefined
  assert.equal(await queries.move('anna'), true)
  assert.deepEqual([there().length, here()], [3, {}])
})

test('a browser that has kept none, or what is none, offers nothing', () => {
  for (const text of [undefined, '{}', 'null', '[', '{"Cold":5}', '"text"']) {
    if (text === undefined) kept.clear()
    else kept.set('odograph.queries', text)
    assert.deepEqual([new Queries().isOffered, new Queries().kept], [false, []], text)
  }
})

test('a free name is never longer than one may be', () => {
  const long = '\u{1f69a}'.repeat(NAME_CHARS_MAX)
  assert.equal(freeName(long, 'anna', []), long)
  const found = freeName(long, 'anna', [{ name: long }])
  assert.equal([...found].length, NAME_CHARS_MAX)
  assert.ok(found.endsWith('\u{1f69a} (anna)'))
  assert.equal(freeName('Cold', 'anna', [{ name: 'Cold' }, { name: 'Cold (anna)' }, { name: 'Cold (anna 2)' }]), 'Cold (anna 3)')
})
