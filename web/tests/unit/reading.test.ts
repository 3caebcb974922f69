import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FIRST, OLD_MS, oldOf, parametersOf, readingOf } from '../../src/state/reading'

const iso = '2026-05-01T12:00:00Z'
const time = Date.parse(iso)
const said = (values: Record<string, unknown>, times?: Record<string, number>) => ({ values, times, time: iso })

test('the first temperature that a device has stands for it, with how far it is from its set-point', () => {
  const values = { 'reefer.return.air.temperature.1': -12.5, 'reefer.setpoint.temperature.1': -20, 'position.speed': 62 }
  assert.deepEqual(readingOf(said(values), FIRST), { name: 'reefer.return.air.temperature.1', value: -12.5, time, setPoint: -20, off: 7.5 })
  assert.deepEqual(readingOf(said({ ...values, 'temperature.2': -19 }), FIRST), { name: 'temperature.2', value: -19, time, setPoint: -20, off: 1 })
  assert.deepEqual(readingOf(said({ 'temperature.2': -19 }), FIRST), { name: 'temperature.2', value: -19, time })
  assert.equal(readingOf(said({ 'position.speed': 62 }), FIRST), undefined)
  assert.equal(readingOf(undefined, FIRST), undefined)
})

test('of two zones each has its own set-point, and a probe has none', () => {
  const values = { 'reefer.supply.air.temperature.2': 3, 'temperature.1': 4, 'reefer.setpoint.temperature.1': -20, 'reefer.setpoint.temperature.2': 2 }
  assert.equal(readingOf(said(values), 'reefer.supply.air.temperature.2')?.off, 1)
  assert.deepEqual(readingOf(said(values), 'temperature.1'), { name: 'temperature.1', value: 4, time })
})

test('what is no temperature is shown as it is, and asks for itself alone', () => {
  assert.deepEqual(readingOf(said({ 'fuel.level': 40, 'reefer.setpoint.temperature.1': -20 }), 'fuel.level'), { name: 'fuel.level', value: 40, time })
  assert.deepEqual(readingOf(said({ 'door.status': false }), 'door.status'), { name: 'door.status', value: false, time })
  assert.deepEqual(parametersOf('fuel.level'), ['fuel.level'])
  assert.deepEqual(parametersOf('reefer.setpoint.temperature.1'), ['reefer.setpoint.temperature.1'])
  assert.deepEqual(parametersOf('temperature.4').slice(0, 2), ['temperature.4', 'reefer.setpoint.temperature.1'])
})

test('a reading has the time of its own value, and is old where the record beside it is much newer', () => {
  const reading = (age: number) => readingOf(said({ 'temperature.1': 4, 'temperature.2': 5 }, { 'temperature.1': time - age }), FIRST)
  assert.equal(reading(3_600_000)?.time, time - 3_600_000)
  assert.deepEqual([oldOf(reading(3_600_000), time), oldOf(reading(OLD_MS), time), oldOf(undefined, time), oldOf(reading(3_600_000), undefined)], [time - 3_600_000, undefined, undefined, undefined])
  assert.equal(readingOf({ values: { 'temperature.1': 4 } }, FIRST)?.time, undefined)
  assert.equal(oldOf(readingOf({ values: { 'temperature.1': 4 } }, FIRST), time), undefined)
})
