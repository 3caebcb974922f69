// The list of a large fleet by a state: where others are in it than were, it is listed anew, but not under a pointer.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { PagedFleet } from '../../src/state/paged.svelte'

/** Who alarms now, how often that was asked for, and how long an answer takes. */
let alarming: string[] = []
let asked = 0
let takes = 0
/** How many the server gives at a time. */
let gives = 1000
let now = 0
let paged: PagedFleet

const listed = () => paged.rows.map(({ id }) => id).join('')
/** So much time goes by, and what was asked for meanwhile is answered. */
async function pass(ms: number): Promise<void> {
  now += ms
  mock.timers.tick(ms)
  for (let turn = 0; turn < 50; turn += 1) await new Promise<void>((resolve) => setImmediate(() => resolve()))
}

beforeEach(async () => {
  ;[alarming, asked, takes, gives, now] = [['a'], 0, 0, 1000, 0]
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  mock.method(performance, 'now', () => now)
  mock.method(globalThis, 'fetch', async (address: string) => {
    const { pathname, searchParams } = new URL(address, 'http://here')
    if (pathname.endsWith('/live/view')) return Response.json({ zoom: 1, clusters: [], devices: [], counts: {} })
    if (pathname.endsWith('/live/counts')) return Response.json({ moving: 5, stopped: 0, no_signal: 0, alarm: alarming.length })
    asked += 1
    now += takes
    const [from, to] = [Number(searchParams.get('cursor') ?? 0), Number(searchParams.get('cursor') ?? 0) + gives]
    const devices = alarming.slice(from, to).map((id) => ({ id, name: id, plate: '', ids: [id], tags: [] }))
    return Response.json({ devices, next: to < alarming.length ? String(to) : undefined })
  })
  paged = new PagedFleet(() => undefined, () => undefined, () => '')
  paged.want({ text: '', live: 'alarm', group: undefined, box: undefined })
  await pass(1)
})
afterEach(() => {
  paged.stop()
  mock.timers.reset()
  mock.restoreAll()
})

test('who comes into a state is listed within some seconds, and what stays as it is is not asked for again', async () => {
  assert.deepEqual([listed(), asked], ['a', 1])
  await pass(60_000)
  assert.equal(asked, 1)
  alarming = ['a', 'b']
  await pass(5000)
  assert.deepEqual([listed(), asked, paged.fresh], ['ab', 2, 0])
  // It was listed anew a moment ago: it is said how many are new until then.
  alarming = ['a', 'b', 'c']
  await pass(5000)
  assert.deepEqual([listed(), paged.fresh], ['ab', 1])
  await pass(10_000)
  assert.deepEqual([listed(), paged.fresh], ['abc', 0])
  alarming = ['c']
  await pass(15_000)
  assert.equal(listed(), 'c')
})

test('while somebody is at the rows they stay, and it is said how many are new', async () => {
  paged.hold(true)
  alarming = ['a', 'b', 'c']
  await pass(60_000)
  assert.deepEqual([listed(), paged.fresh], ['a', 2])
  paged.hold(false)
  await pass(1)
  assert.deepEqual([listed(), paged.fresh], ['abc', 0])
})

test('what takes the server long is not asked for again and again', async () => {
  takes = 2000
  alarming = ['a', 'b']
  await pass(15_000)
  assert.equal(listed(), 'ab')
  alarming = ['a']
  await pass(30_000)
  assert.equal(listed(), 'ab')
  await pass(15_000)
  assert.equal(listed(), 'a')
})

test('where the server gives fewer at a time than there were, as many are listed anew', async () => {
  alarming = ['a', 'b', 'c']
  await pass(15_000)
  assert.equal(listed(), 'abc')
  ;[alarming, gives] = [['a', 'b', 'd', 'e'], 2]
  await pass(15_000)
  assert.equal(listed(), 'abde')
})
