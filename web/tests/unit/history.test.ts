// What is read of a device's period, and when: what comes later, what comes late, and what is asked for meanwhile.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { downsample } from '../../src/charts/downsample'
import { History, RECORDS_MAX, type RecordOf } from '../../src/state/history.svelte'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const [FROM, TO] = [1000 * MINUTE, 1100 * MINUTE]

/** What the server has: records as they would be sent, and who waits for its answers. */
let stored: RecordOf[] = []
let asked: { from: number; to: number }[] = []
/** Of which steps records were asked for, in seconds; 0: for all of them. */
let steps: number[] = []
let held: (() => void)[] | undefined
let now = 0

const iso = (ms: number) => new Date(ms).toISOString()
const made = (minute: number, later = 0, value = minute): RecordOf =>
  ({ device: '1', time: iso(FROM + minute * MINUTE), received: iso(FROM + (minute + later) * MINUTE), 'temperature.1': value })
/** A record of a minute, received so many minutes later. */
function store(minute: number, later = 0, value = minute): void {
  stored.push(made(minute, later, value))
  stored.sort((a, b) => Date.parse(String(a.time)) - Date.parse(String(b.time)))
}
const shown = (history: History) => history.times.map((time) => (time - FROM) / MINUTE)
const hears = (history: History, minute: number, received: number) => history.hears({ time: FROM + minute * MINUTE, received: FROM + received * MINUTE })

beforeEach(() => {
  ;[stored, asked, steps, held, now] = [[], [], [], undefined, 0]
  mock.method(performance, 'now', () => now)
  mock.method(globalThis, 'fetch', async (address: string, { signal }: RequestInit) => {
    const query = new URL(address, 'http://here').searchParams
    const [from, to] = [Number(query.get('from')), Number(query.get('to'))]
    const step = Number(query.get('thin'))
    asked.push({ from, to })
    steps.push(step)
    // It read them when it was asked, and they arrive when the test lets them.
    const all = stored.filter(({ time }) => Date.parse(String(time)) >= from && Date.parse(String(time)) < to)
    const stepOf = (at: number) => Math.floor(Date.parse(String(all[at]?.time)) / 1000 / step)
    // Each value is more than the one before: peaks are at the ends.
    const records = step ? all.filter((_, at) => stepOf(at) !== stepOf(at - 1) || stepOf(at) !== stepOf(at + 1)) : all
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

test('of a long period some records of each step are read, and of a short part of it that is looked at all', async () => {
  stored = Array.from({ length: 20 * 24 * 12 }, (_, at) => made(5 * at))
  const history = new History('1')
  const [to, last] = [FROM + 30 * DAY, FROM + 20 * DAY - 5 * MINUTE]
  await history.load(FROM, to)
  assert.deepEqual([history.step, history.isThinned, history.isCut], [1_296_000, true, false])
  assert.deepEqual([history.times[0], history.times.at(-1)], [FROM, last])
  assert.ok(history.times.length < stored.length * 0.6)
  assert.ok(history.gap >= history.step)
  // A week and more is too long a part.
  history.zoom(FROM, FROM + 9 * DAY)
  await history.refine()
  assert.deepEqual([history.isThinned, steps], [true, [1296]])
  history.zoom(FROM + 2 * DAY + 0.5, FROM + 4 * DAY - 0.5)
  await history.refine()
  assert.deepEqual([history.isThinned, steps], [false, [1296, 0]])
  assert.equal(history.index(FROM + 4 * DAY) - history.index(FROM + 2 * DAY), 2 * 24 * 12)
  assert.deepEqual(history.times, [...new Set(history.times)].sort((a, b) => a - b))
  assert.equal(history.records.length, history.times.length)
  // Nearer still all is here, and farther it is not.
  history.zoom(FROM + 3 * DAY, FROM + 3.5 * DAY)
  await history.refine()
  assert.deepEqual([history.isThinned, steps.length], [false, 2])
  history.zoom(0, 0)
  assert.equal(history.isThinned, true)
})

test('what comes while the end of a long period is looked at joins it, and is there when all is read anew', async () => {
  stored = Array.from({ length: 20 * 24 * 12 }, (_, at) => made(5 * at))
  const history = new History('1')
  const end = 20 * 24 * 60
  await history.load(FROM, FROM + 30 * DAY)
  hears(history, end - 5, end - 5)
  history.zoom(FROM + 18 * DAY, FROM + 22 * DAY)
  await history.refine()
  for (const minute of [end, end + 1]) store(minute)
  assert.equal(hears(history, end + 1, end + 1), true)
  await history.more()
  const behind = (minute: number) => shown(history).filter((one) => one >= minute)
  assert.deepEqual(behind(end - 10), [end - 10, end - 5, end, end + 1])
  now += 60 * MINUTE
  // This one comes late.
  store(end - 8, end)
  store(end + 2)
  hears(history, end + 2, end + 2)
  await history.more()
  assert.deepEqual(behind(end - 10), [end - 10, end - 8, end - 5, end, end + 1, end + 2])
  assert.equal(history.isThinned, false)
  assert.deepEqual(history.times, [...new Set(history.times)].sort((a, b) => a - b))
})

test('a short period with more records than can be shown is shown whole, with some of them', async () => {
  stored = Array.from({ length: RECORDS_MAX + 10 }, (_, at) => made(at / 100))
  const history = new History('1')
  const last = Date.parse(String(stored.at(-1)?.time))
  await history.load(FROM, FROM + DAY)
  assert.deepEqual(steps, [0, 44])
  assert.deepEqual([history.isCut, history.isThinned, history.step, history.times.at(-1)], [false, true, 44_000, last])
})

test('where all records are known to be too many, they are not asked for again', async () => {
  stored = Array.from({ length: RECORDS_MAX + 10 }, (_, at) => made(at / 100))
  const history = new History('1')
  await history.load(FROM, FROM + DAY)
  await history.refine()
  history.zoom(FROM, FROM + 22 * 60 * MINUTE)
  await history.refine()
  assert.deepEqual([steps, history.isThinned], [[0, 44], true])
  // Of a shorter part they may be fewer.
  history.zoom(FROM, FROM + 10 * 60 * MINUTE)
  await history.refine()
  assert.deepEqual([steps, history.isThinned], [[0, 44, 0], false])
  history.zoom(0, 0)
  await history.refine()
  assert.deepEqual([steps.length, history.isThinned], [3, true])
  // Whoever asks for the period again asks for all of it.
  await history.load(FROM, FROM + DAY)
  assert.deepEqual(steps.slice(3), [0, 44])
})

test('of a long period a value may be in one record of each step: it is drawn as one line', async () => {
  // Steps of 21.6 minutes: in one, the value comes with the first record, in the next with the second.
  stored = Array.from({ length: 800 }, (_, at) => ({ ...made(21.6 * (at >> 1) + (at % 2)), ...([0, 3].includes(at % 4) && { 'temperature.2': 4 }) }))
  const history = new History('1')
  await history.load(FROM, FROM + 30 * DAY)
  assert.deepEqual([history.step, history.times.length], [1_296_000, 800])
  const { series } = downsample(history.times, [history.column('temperature.2')], history.window, 10_000, history.gap, history.pauses.clock)
  assert.deepEqual(series[0]?.filter((value) => value === null), [])
})

test('in a part of which all records are there, shorter silences are gaps than in the rest of a long period', async () => {
  const silent = [3 * 24 * 60, 10 * 24 * 60]
  stored = Array.from({ length: 20 * 24 * 60 }, (_, at) => made(at)).filter((_, at) => silent.every((begin) => at <= begin || at >= begin + 30))
  const history = new History('1')
  const [end, last] = [30 * 24 * 60, 20 * 24 * 60 - 1]
  const gaps = () => history.activity.spans.filter(({ kind }) => kind === 'gap').map(({ from, to }) => [(from - FROM) / MINUTE, (to - FROM) / MINUTE])
  await history.load(FROM, FROM + end * MINUTE)
  assert.deepEqual(gaps(), [[last, end]])
  history.zoom(FROM + 2 * DAY, FROM + 4 * DAY)
  await history.refine()
  const begin = 3 * 24 * 60
  assert.deepEqual(gaps(), [[begin, begin + 30], [last, end]])
  const { times, series } = downsample(history.times, [history.column('temperature.1')], history.window, 10_000, history.gap, history.pauses.clock)
  assert.deepEqual(times.filter((_, at) => series[0]?.[at] === null), [FROM + (begin + 15) * MINUTE])
})

test('a long period is drawn with what is new each minute, and read anew each hour, or for a hundredth of the time', async () => {
  for (const minute of [0, 1, 20]) store(minute)
  const history = new History('1')
  await history.load(FROM, TO)
  assert.equal(history.pause, 4000)
  held = []
  const loading = history.load(FROM, FROM + 30 * DAY)
  now += 3000
  for (const answer of held) answer()
  held = undefined
  await loading
  assert.equal(history.pause, MINUTE)
  hears(history, 20, 20)
  store(21)
  hears(history, 21, 21)
  now += 59 * MINUTE
  assert.equal(await history.more(), undefined)
  assert.deepEqual([shown(history), steps], [[0, 1, 20, 21], [0, 1296, 0]])
  store(22)
  hears(history, 22, 22)
  now += MINUTE
  await history.more()
  assert.deepEqual(steps.slice(3), [0, 1296])
  // What is known to have come late waits for less.
  held = []
  const again = history.load(FROM, FROM + 30 * DAY)
  now += 3000
  for (const answer of held) answer()
  held = undefined
  await again
  store(5, 18)
  hears(history, 22, 23)
  assert.equal(await history.more(), 300_000)
  now += 300_000
  assert.equal(await history.more(), undefined)
  // Of a step, the server keeps here the first and the last.
  assert.deepEqual(shown(history), [0, 5, 20, 22])
})

test('of a record whose clock was wrong, the alarms are of the time when it came, and nothing else', async () => {
  const at = { 'position.latitude': 50, 'position.longitude': 10, 'position.speed': 0 }
  stored = [0, 1, 2].map((minute) => ({ ...made(minute), ...at }))
  stored[1] = { ...made(1), ...at, 'position.latitude': 51, 'position.speed': 80, 'device.time': '2001-01-01T00:00:00Z', alarm: ['sos'] }
  const history = new History('1')
  await history.load(FROM, TO)
  assert.deepEqual([history.records, history.misplaced], [stored, 1])
  assert.deepEqual(history.column('temperature.1'), [0, undefined, 2])
  assert.deepEqual(history.track, { at: [0, 2], points: [[10, 50], [10, 50]] })
  const { spans, distanceKm, alarms } = history.activity
  assert.deepEqual([spans.some(({ kind }) => kind === 'drive'), distanceKm], [false, 0])
  assert.deepEqual(alarms, [{ from: FROM + MINUTE, to: FROM + MINUTE, names: ['sos'] }])
})

test('another period is read anew, however the one before was', async () => {
  stored = Array.from({ length: 100 }, (_, at) => made(5 * at))
  const history = new History('1')
  await history.load(FROM, FROM + 30 * DAY)
  history.zoom(FROM, FROM + DAY)
  const refining = history.refine()
  await history.load(FROM, FROM + DAY)
  await refining
  assert.deepEqual([history.step, history.isThinned, history.times.length], [0, false, 100])
})
