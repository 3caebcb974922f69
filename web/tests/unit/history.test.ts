// What is read of a device's period, and when: what comes later, what comes late, and what is asked for meanwhile.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { History, type RecordOf } from '../../src/state/history.svelte'

const MINUTE = 60_000
const [FROM, TO] = [1000 * MINUTE, 1100 * MINUTE]

/** What the server has: records as they would be sent, and who waits for its answers. */
let stored: RecordOf[] = []
let asked: { from: number; to: number }[] = []
let held: (() => void)[] | undefined
let now = 0

const iso = (ms: number) => new Date(ms).toISOString()
/** A record of a minute, received so many minutes later. */
function store(minute: number, later = 0, value = minute): void {
  stored.push({ device: '1', time: iso(FROM + minute * MINUTE), received: iso(FROM + (minute + later) * MINUTE), 'temperature.1': value })
  stored.sort((a, b) => Date.parse(String(a.time)) - Date.parse(String(b.time)))
}
const shown = (history: History) => history.times.map((time) => (time - FROM) / MINUTE)
const hears = (history: History, minute: number, received: number) => history.hears({ time: FROM + minute * MINUTE, received: FROM + received * MINUTE })

beforeEach(() => {
  ;[stored, asked, held, now] = [[], [], undefined, 0]
  mock.method(performance, 'now', () => now)
  mock.method(globalThis, 'fetch', async (address: string, { signal }: RequestInit) => {
    const query = new URL(address, 'http://here').searchParams
    const [from, to] = [Number(query.get('from')), Number(query.get('to'))]
    asked.push({ from, to })
    // It read them when it was asked, and they arrive when the test lets them.
    const records = stored.filter(({ time }) => Date.parse(String(time)) >= from && Date.parse(String(time)) < to)
    if (held) await new Promise<void>((resolve) => held?.push(resolve))
    signal?.throwIfAborted()
    return Response.json({ records, next: null })
  })
})
afterEach(() => mock.restoreAll())

test('what comes is added, and only what is new is asked for', async () => {
  for (const minute of [0, 1, 2]) store(minute)
  const history = new History('1')
  assert.equal(await history.load(FROM, TO), true)
  assert.equal(hears(history, 2, 2), false)
  store(3)
  assert.equal(hears(history, 3, 3), true)
  assert.equal(await history.more(), undefined)
  assert.deepEqual(shown(history), [0, 1, 2, 3])
  assert.deepEqual(asked.slice(1), [{ from: FROM + 2 * MINUTE + 1, to: TO }])
  assert.equal(hears(history, 3, 3), false)
})

test('what came between reading and the first word of the stream is new', async () => {
  for (const minute of [0, 1, 20]) store(minute)
  const history = new History('1')
  await history.load(FROM, TO)
  store(5, 16)
  assert.equal(hears(history, 20, 21), true)
  now += 20_000
  await history.more()
  assert.deepEqual(shown(history), [0, 1, 5, 20])
})

test('a backlog that comes late is shown, and all is read anew no more often than every twenty seconds', async () => {
  for (const minute of [0, 1, 20]) store(minute)
  const history = new History('1')
  await history.load(FROM, TO)
  hears(history, 20, 20)
  for (const minute of [5, 6, 7]) store(minute, 16)
  assert.equal(hears(history, 20, 23), true)
  assert.equal(await history.more(), 20_000)
  assert.deepEqual(shown(history), [0, 1, 20])
  now += 20_000
  assert.equal(await history.more(), undefined)
  assert.deepEqual(shown(history), [0, 1, 5, 6, 7, 20])
  assert.equal(history.isBehind, false)
})

test('records of long ago that came between newer ones are shown within ten minutes', async () => {
  for (const minute of [0, 1]) store(minute)
  const history = new History('1')
  await history.load(FROM, TO)
  hears(history, 1, 1)
  store(0.5, 1.2)
  store(2)
  assert.equal(hears(history, 2, 2), true)
  await history.more()
  assert.deepEqual(shown(history), [0, 1, 2])
  now += 10 * MINUTE
  store(3)
  hears(history, 3, 3)
  await history.more()
  assert.deepEqual(shown(history), [0, 0.5, 1, 2, 3])
})

test('a period that is over is not asked about again, unless something late comes', async () => {
  store(0)
  const history = new History('1')
  await history.load(FROM, TO)
  assert.equal(hears(history, 150, 150), false)
  assert.equal(hears(history, 151, 151), false)
  assert.equal(asked.length, 1)
  store(50, 102)
  assert.equal(hears(history, 151, 152), true)
  now += 20_000
  await history.more()
  assert.deepEqual(shown(history), [0, 50])
})

test('what was asked for before another period is none of it', async () => {
  store(0)
  store(200)
  const history = new History('1')
  await history.load(FROM, TO)
  hears(history, 0, 0)
  store(1)
  hears(history, 1, 1)
  held = []
  const more = history.more()
  const [first, second] = [history.load(FROM + 190 * MINUTE, FROM + 250 * MINUTE), history.load(FROM + 199 * MINUTE, FROM + 260 * MINUTE)]
  for (const answer of held) answer()
  assert.deepEqual(await Promise.all([more, first, second]), [undefined, false, true])
  assert.deepEqual(shown(history), [200])
  assert.equal(history.isLoading, false)
})

test('whoever has gone asks nothing more', async () => {
  store(0)
  const history = new History('1')
  await history.load(FROM, TO)
  hears(history, 0, 0)
  hears(history, 1, 1)
  history.stop()
  assert.equal(await history.more(), undefined)
  assert.equal(asked.length, 1)
})
