// The list of the fleet: who has fallen silent, what stays under a pointer, who is furthest from its set-point, how fast one in alarm is, and in which cluster.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterOf, isInside } from '../../src/map/inside'
import { hold } from '../../src/state/hold'
import { farSign, furthest } from '../../src/state/order'
import { speedOf } from '../../src/state/speed'
import { asOf, Told } from '../../src/state/told'

const key = ({ id }: { id: string }) => id
const rows = (ids: string, name = '') => [...ids].map((id) => ({ id, name }))
const ids = (those: { id: string }[]) => those.map(key).join('')

test('rows that are held stay where they are, say who is gone, and let nobody in', () => {
  const held = rows('abcd')
  const as = (now: string) => {
    const { rows: shown, gone, fresh, isMoved } = hold(held, rows(now), key)
    return [ids(shown), [...gone].join(''), fresh, isMoved]
  }
  assert.equal(ids(hold(undefined, rows('bd'), key).rows), 'bd')
  assert.deepEqual(as('abcd'), ['abcd', '', 0, false])
  assert.deepEqual(as('bd'), ['abcd', 'ac', 0, false])
  assert.deepEqual(as('axbcdy'), ['abcd', '', 2, false])
  assert.deepEqual(as('dab'), ['abcd', 'c', 0, true])
  assert.deepEqual(as('xy'), ['abcd', 'abcd', 2, false])
})

test('a row that is held is as it is now', () => {
  const { rows: shown } = hold(rows('ab'), rows('b', 'new'), key)
  assert.deepEqual(shown, [{ id: 'a', name: '' }, { id: 'b', name: 'new' }])
})

test('the furthest from its set-point is first, too cold or too warm, and who has none stays behind as it was', () => {
  const offs: Record<string, number> = { a: 0, b: -3, d: 8.7, f: 3 }
  assert.equal(furthest([...'abcdef'], (id) => offs[id]).join(''), 'dbface')
  assert.equal(furthest([...'cba'], () => undefined).join(''), 'cba')
})

test('a value is far only beyond the band, and without a band none is', () => {
  // Which is a little more than 2.
  const exactly = -15.6 + 17.6
  assert.deepEqual([farSign(8.7, 2), farSign(-2.1, 2), farSign(exactly, 2), farSign(1.9, 2), farSign(undefined, 2), farSign(8.7, 0)], ['▲', '▼', '', '', '', ''])
})

test('one in alarm has a speed while it goes, and one that stands or is silent has none', () => {
  const time = '2026-05-01T12:00:00Z'
  const of = (state: string, speed: number, more: Record<string, unknown> = {}, ago = 0) =>
    speedOf({ state, time, values: { 'position.speed': speed, ...more }, times: ago ? { 'position.speed': Date.parse(time) - ago } : undefined })
  assert.deepEqual([of('moving', 62), of('alarm', 62), of('alarm', 3), of('stopped', 2), of('no_signal', 62)], [62, 62, undefined, undefined, undefined])
  assert.deepEqual([of('alarm', 8, { 'engine.ignition.status': false }), of('alarm', 8, { 'engine.ignition.status': true })], [undefined, 8])
  assert.deepEqual([of('alarm', 62, {}, 5 * 60_000), of('alarm', 62, {}, 6 * 60_000)], [62, undefined])
  assert.deepEqual([speedOf(undefined), speedOf({ state: 'alarm', values: {} })], [undefined, undefined])
})

test('a place is in a box, at its edge, also where that reaches over the 180th meridian', () => {
  const box = [5, 47, 15, 55]
  assert.deepEqual([[10, 50], [15, 55], [16, 50], [10, 46], []].map((place) => isInside(place, box)), [true, true, false, false, false])
  assert.deepEqual([isInside([15.5, 50], box, 1), isInside([15.5, 50], box, 0.1)], [true, false])
  assert.deepEqual([[179, -17], [-179, -17], [0, -17]].map((place) => isInside(place, [178, -20, -178, -15])), [true, true, false])
})

test('a device is in the cluster whose box has it, or in the nearest of those that are near', () => {
  const clusters = [{ id: 'west', bounds: [9, 48, 10, 49], centre: [9.5, 48.5] }, { id: 'east', bounds: [10.1, 48, 11, 49], centre: [10.5, 48.5] }]
  const of = (place: number[], margin = 0) => clusterOf(place, clusters, margin)?.id
  assert.deepEqual([of([9.2, 48.2]), of([10.2, 48.2]), of([10.05, 48.5]), of([12, 48])], ['west', 'east', undefined, undefined])
  assert.deepEqual([of([10.04, 48.5], 0.1), of([9.98, 48.5], 0.2), of([10.02, 48.5], 0.1)], ['east', 'west', 'east'])
})

const HOUR = 3_600_000
const iso = (ms: number) => new Date(ms).toISOString()
const alive = (device: string, until = 9 * HOUR) => ({ device, state: 'moving' as const, received: iso(0), silent_at: iso(until), values: {} })
const batch = (devices: ReturnType<typeof alive>[], { full = false, more = false, left = [] as string[] } = {}) => ({ full, more, left, devices })

test('one of whom nothing came until it was to be silent is silent, and says so without a word of the server', () => {
  const told = alive('a', HOUR)
  assert.equal(asOf(told, HOUR - 1), told)
  assert.deepEqual(asOf(told, HOUR), { ...told, state: 'no_signal' })
  assert.equal(asOf({ state: 'alarm' as const, silent_at: iso(HOUR) }, HOUR).state, 'no_signal')
  assert.deepEqual([null, undefined].map((silent_at) => asOf({ state: 'stopped' as const, silent_at }, HOUR).state), ['stopped', 'stopped'])
  const fleet = new Told()
  fleet.take(batch([told, alive('b')], { full: true }), 0)
  const states = () => [...fleet.devices.values()].map(({ state }) => state)
  assert.deepEqual([fleet.fade(HOUR - 1), states()], [false, ['moving', 'moving']])
  assert.deepEqual([fleet.fade(HOUR), states()], [true, ['no_signal', 'moving']])
  assert.equal(fleet.fade(HOUR), false)
  fleet.take(batch([alive('a', 2 * HOUR)]), HOUR)
  assert.deepEqual(states(), ['moving', 'moving'])
  fleet.take(batch([alive('b', HOUR)]), HOUR)
  assert.deepEqual(states(), ['moving', 'no_signal'])
})

test('a stream that begins anew takes nobody away before all of it has come', () => {
  const fleet = new Told()
  const take = (those: string, how: { full?: boolean; more?: boolean; left?: string[] } = {}) => {
    fleet.take(batch([...those].map((id) => alive(id)), how), 0)
    return [...fleet.devices.keys()].sort().join('')
  }
  assert.deepEqual([take('ab', { full: true, more: true }), take('cd')], ['ab', 'abcd'])
  assert.deepEqual([take('a', { full: true, more: true }), take('b', { more: true }), take('e', { left: ['a'] }), take('')], ['abcd', 'abcd', 'be', 'be'])
  // One that is cut meanwhile begins once more.
  assert.deepEqual([take('f', { full: true, more: true }), take('e', { full: true, more: true }), take('b')], ['bef', 'bef', 'be'])
  assert.equal(take('', { full: true }), '')
})
