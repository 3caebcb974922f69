// The list of the fleet: what stays under a pointer, who is furthest from its set-point, how fast one in alarm is, and in which cluster.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterOf, isInside } from '../../src/map/inside'
import { hold } from '../../src/state/hold'
import { farSign, furthest } from '../../src/state/order'
import { speedOf } from '../../src/state/speed'

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
