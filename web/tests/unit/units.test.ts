// Units as people read them, and as values are kept.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { settings } from '../../src/state/settings.svelte'
import { shown, storedSign, storedText, unit } from '../../src/state/units'

afterEach(() => {
  settings.units = 'metric'
})

test('what is kept has one unit, whatever people read', () => {
  const kept = () => ['l', 'C', 'ft', 'count', ''].map((name) => [storedSign(name), storedText(80, name)].join(' ').trim())
  const expected = ['l 80.0', '°C 80.0', 'ft 80.00', '80.00', '80.00']
  assert.deepEqual(kept(), expected)
  settings.units = 'imperial'
  assert.deepEqual(kept(), expected)
  assert.deepEqual([unit('l').sign, shown(80, 'l'), unit('C').sign, shown(80, 'C'), unit('ft').sign], ['gal', '21.1', '°F', '176.0', 'ft'])
})
