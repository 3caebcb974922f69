// Who knocked: what is said of each, and that nobody moves while somebody points there.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guess, held, since, start, type Stray } from '../../src/state/strays'

const stray = (id: number, more: Partial<Stray> = {}): Stray => ({
  id, first: '2026-11-28T17:04:11.201Z', last: '2026-11-28T17:04:11.201Z', peer: '192.0.2.7:50122', local: '0.0.0.0:5000', transport: 'tcp', why: 'undecided', protocol: null,
  device: null, is: null, could_be: [], guesses: [], ruled_out: null, bytes: 4, pieces: 1, hex: '41424344', text: 'ABCD', named: [], ...more
})
const ids = (those: Stray[]) => those.map(({ id }) => id)

test('who is listed stays where they are, with what is new of them', () => {
  const listed = [stray(3), stray(2), stray(1)]
  // Two came, one of the first spoke again, and one has gone.
  const all = [stray(5), stray(1, { bytes: 9 }), stray(4), stray(3)]
  assert.deepEqual(ids(held(listed, all)), [3, 2, 1])
  assert.deepEqual(held(listed, all).map(({ bytes }) => bytes), [4, 4, 9])
  assert.equal(since(listed, all), 2)
  assert.deepEqual([since(all, all), since([], all), held([], all).length], [0, 4, 0])
})

test('a stray is a device that was refused, what it is by now, what it could be, or nothing', () => {
  assert.equal(guess(stray(1, { device: '4711', is: 'wialon', could_be: ['wialon'] })), 'device 4711 was refused')
  assert.equal(guess(stray(1, { is: 'wialon', could_be: ['wialon'] })), 'understood now as wialon')
  assert.equal(guess(stray(1, { could_be: ['gt06', 'h02'] })), 'gt06, h02')
  assert.equal(guess(stray(1)), 'no known protocol')
})

test('bytes are shown as text where that is shorter', () => {
  assert.equal(start(stray(1)), 'ABCD')
  assert.equal(start(stray(1, { hex: '0001', text: '\\x00\\x01' })), '0001')
})
