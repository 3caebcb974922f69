import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FIRST, parametersOf, readingOf } from '../../src/state/reading'

test('the first temperature that a device has stands for it, with how far it is from its set-point', () => {
  const values = { 'reefer.return.air.temperature.1': -12.5, 'reefer.setpoint.temperature.1': -20, 'position.speed': 62 }
  assert.deepEqual(readingOf(values, FIRST), { name: 'reefer.return.air.temperature.1', value: -12.5, setPoint: -20, off: 7.5 })
  assert.deepEqual(readingOf({ ...values, 'temperature.2': -19 }, FIRST), { name: 'temperature.2', value: -19, setPoint: -20, off: 1 })
  assert.deepEqual(readingOf({ 'temperature.2': -19 }, FIRST), { name: 'temperature.2', value: -19 })
  assert.equal(readingOf({ 'position.speed': 62 }, FIRST), undefined)
})

test('of two zones each has its own set-point, and a probe has none', () => {
  const values = { 'reefer.supply.air.temperature.2': 3, 'temperature.1': 4, 'reefer.setpoint.temperature.1': -20, 'reefer.setpoint.temperature.2': 2 }
  assert.equal(readingOf(values, 'reefer.supply.air.temperature.2')?.off, 1)
  assert.deepEqual(readingOf(values, 'temperature.1'), { name: 'temperature.1', value: 4 })
})

test('what is no temperature is shown as it is, and asks for itself alone', () => {
  assert.deepEqual(readingOf({ 'fuel.level': 40, 'reefer.setpoint.temperature.1': -20 }, 'fuel.level'), { name: 'fuel.level', value: 40 })
  assert.deepEqual(readingOf({ 'door.status': false }, 'door.status'), { name: 'door.status', value: false })
  assert.deepEqual(parametersOf('fuel.level'), ['fuel.level'])
  assert.deepEqual(parametersOf('reefer.setpoint.temperature.1'), ['reefer.setpoint.temperature.1'])
  assert.deepEqual(parametersOf('temperature.4').slice(0, 2), ['temperature.4', 'reefer.setpoint.temperature.1'])
})
