// Every alarm that a device can raise has a name that people know.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { alarmName, alarmNames } from '../../src/i18n/alarms'
import { en } from '../../src/i18n/en'

/** The alarms of the model, as its source lists them: `HardBraking "hard_braking" "harsh braking";`. */
const known = [...readFileSync('../crates/model/src/alarm.rs', 'utf8').matchAll(/^ {4}[A-Z]\w* "(\w+)" "[^"]+";$/gm)].map(([, name = '']) => name)

test('each alarm of the model has a name, and no name is of an alarm that is none', () => {
  assert.ok(known.length > 30, `only ${known.length} alarms were found in the model: its source is written in another way`)
  const named = Object.keys(en).filter((key) => key.startsWith('alarm.') && key !== 'alarm.code').map((key) => key.slice('alarm.'.length))
  assert.deepEqual([...named].sort(), [...known].sort())
})

test('no alarm is shown as it is written in records', () => {
  for (const name of known) assert.doesNotMatch(alarmName(name), /_/)
  assert.equal(alarmName('hard_braking'), 'harsh braking')
})

test('an alarm that the table does not know is made readable, and a code of a unit is called one', () => {
  assert.equal(alarmName('wheel_lost_again'), 'wheel lost again')
  assert.equal(alarmName('63'), 'code 63')
  assert.equal(alarmNames(['reefer', '63', 12]), 'refrigeration unit, code 63, code 12')
})
