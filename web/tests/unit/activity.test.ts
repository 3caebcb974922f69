// What a device did, found out from its records.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { activity, heldAt, said, type Activity } from '../../src/state/activity'
import type { RecordOf } from '../../src/state/history.svelte'
import { minute } from '../../src/state/minute.svelte'

const MINUTE = 60_000
const GAP = 15 * MINUTE

/** Records by the minute that they are of, in a period that ends with the last of them, or later. */
function of(records: Record<number, RecordOf>, until?: number): Activity {
  const times = Object.keys(records).map((minute) => Number(minute) * MINUTE)
  return activity(Object.values(records), times, GAP, 0, until === undefined ? (times.at(-1) ?? 0) : until * MINUTE)
}
const kinds = ({ spans }: Activity) => spans.map(({ kind, from, to }) => [kind, from / MINUTE, to / MINUTE])
const minutes = (those: readonly { from: number; to: number }[]) => those.map(({ from, to }) => [from / MINUTE, to / MINUTE])
const at = (speed: number, more: RecordOf = {}): RecordOf => ({ 'position.speed': speed, ...more })

test('nothing was done where there are no records', () => {
  assert.deepEqual(of({}, 24 * 60), { spans: [], doors: [], defrosts: [], alarms: [], drivenMs: 0, stoppedMs: 0, distanceKm: 0 })
})

test('a drive, a stop and a gap follow each other without a hole', () => {
  const found = of({ 0: at(60), 10: at(60), 20: at(0), 30: at(0), 40: at(50), 70: at(50), 80: at(50) })
  assert.deepEqual(kinds(found), [['drive', 0, 20], ['stop', 20, 40], ['gap', 40, 70], ['drive', 70, 80]])
  assert.equal(found.drivenMs, 30 * MINUTE)
  assert.equal(found.stoppedMs, 20 * MINUTE)
})

test('what is parked and says so each hour stands, and what drives is not heard for as long', () => {
  const found = of({ 0: at(60), 10: at(0), 70: at(0), 135: at(0), 195: at(60), 205: at(60), 265: at(60) })
  assert.deepEqual(kinds(found), [['drive', 0, 10], ['stop', 10, 195], ['drive', 195, 205], ['gap', 205, 265]])
  assert.equal(found.stoppedMs, 185 * MINUTE)
  // The server, too, takes it for silent after 65 minutes.
  assert.deepEqual(kinds(of({ 0: at(0), 66: at(0) })), [['gap', 0, 66]])
  // With the ignition on it reports as often as when it drives.
  const idle = at(0, { 'engine.ignition.status': true })
  assert.deepEqual(kinds(of({ 0: idle, 60: idle })), [['gap', 0, 60]])
  assert.deepEqual(kinds(of({ 0: at(0, { 'engine.ignition.status': false }), 5: { 'temperature.1': 4 }, 65: at(0) })), [['stop', 0, 65]])
})

test('a door that is open all night is open all night', () => {
  const door = (is: boolean) => at(0, { 'door.status': is })
  assert.deepEqual(minutes(of({ 0: door(true), 60: door(true), 120: door(false) }).doors), [[0, 120]])
})

test('nothing was heard from the beginning of a period and to its end, where that is longer than a gap', () => {
  // The record before the first may have been of a truck that was parked.
  assert.deepEqual(kinds(of({ 65: at(60), 70: at(60) })), [['drive', 65, 70]])
  assert.deepEqual(kinds(of({ 66: at(60), 70: at(60) })), [['gap', 0, 66], ['drive', 66, 70]])
  // What stood goes on standing for as long as that is known, and where it drove to is not.
  assert.deepEqual(kinds(of({ 0: at(60), 10: at(60) }, 25)), [['drive', 0, 10]])
  assert.deepEqual(kinds(of({ 0: at(60), 10: at(60) }, 26)), [['drive', 0, 10], ['gap', 10, 26]])
  assert.deepEqual(kinds(of({ 0: at(0), 10: at(0) }, 75)), [['stop', 0, 75]])
  assert.deepEqual(kinds(of({ 0: at(0), 10: at(0) }, 76)), [['stop', 0, 10], ['gap', 10, 76]])
  const records = [at(60), at(60)]
  assert.deepEqual(kinds(activity(records, [0, 10 * MINUTE], GAP, 0, 60 * MINUTE, true)), [['drive', 0, 10]])
})

test('of what is to come nothing is missing', () => {
  const now = (minute.now = Date.now())
  const times = [now - 40 * MINUTE, now - 30 * MINUTE]
  const last = () => activity([at(60), at(60)], times, GAP, now - 60 * MINUTE, now + 60 * MINUTE).spans.at(-1)
  assert.deepEqual(last(), { kind: 'gap', from: now - 30 * MINUTE, to: now })
  minute.now = now - 20 * MINUTE
  assert.deepEqual(last(), { kind: 'drive', from: now - 40 * MINUTE, to: now - 30 * MINUTE })
})

test('a traffic light is part of the drive, a halt of three minutes is not', () => {
  assert.deepEqual(of({ 0: at(50), 2: at(0), 4: at(50), 6: at(50) }).spans.map(({ kind }) => kind), ['drive'])
  assert.deepEqual(of({ 0: at(50), 2: at(0), 5: at(50), 6: at(50) }).spans.map(({ kind }) => kind), ['drive', 'stop', 'drive'])
})

test('a receiver that says 3 km/h stands, and where there is no speed the ignition tells', () => {
  assert.deepEqual(of({ 0: at(3), 10: at(3) }).spans.map(({ kind }) => kind), ['stop'])
  const ignition = { 'engine.ignition.status': true }
  assert.deepEqual(of({ 0: ignition, 10: ignition }).spans.map(({ kind }) => kind), ['drive'])
  // As the server has it.
  const off = at(9, { 'engine.ignition.status': false })
  assert.deepEqual(of({ 0: off, 10: off }).spans.map(({ kind }) => kind), ['stop'])
})

test('a record that says nothing of moving changes nothing', () => {
  assert.deepEqual(minutes(of({ 0: at(60), 5: { 'temperature.1': -20 }, 10: at(60) }).spans), [[0, 10]])
})

test('spans of another period are left out, and those that reach into it are not', () => {
  const records = { 0: at(60), 10: at(0), 20: at(0), 30: at(60), 40: at(60) }
  const times = Object.keys(records).map((minute) => Number(minute) * MINUTE)
  assert.deepEqual(minutes(activity(Object.values(records), times, GAP, 15 * MINUTE, 25 * MINUTE).spans), [[10, 30]])
})

test('a door is open from the record that says so to the one that says it is shut', () => {
  const door = (is: boolean) => at(0, { 'door.status': is })
  assert.deepEqual(minutes(of({ 0: door(false), 5: door(true), 10: door(true), 15: door(false), 20: door(false) }).doors), [[5, 15]])
})

test('a door of any zone counts, and one that is not heard of any more is open no longer', () => {
  const zone = (is: boolean) => ({ 'reefer.door.status.2': is, 'reefer.door.status.1': false })
  assert.deepEqual(minutes(of({ 0: zone(true), 5: zone(true), 60: zone(false), 65: zone(false) }).doors), [[0, 5]])
})

test('a defrost is no door', () => {
  const { doors, defrosts } = of({ 0: { 'reefer.defrost.status.1': true }, 9: { 'reefer.defrost.status.1': false } })
  assert.deepEqual([minutes(doors), minutes(defrosts)], [[], [[0, 9]]])
})

test('alarms of one kind near each other are one, others are not', () => {
  const { alarms } = of({ 0: at(0, { alarm: ['sos'] }), 4: at(0, { alarm: ['sos'] }), 8: at(0, { alarm: ['tow'] }), 20: at(0, { alarm: ['tow'] }), 21: at(0) })
  assert.deepEqual(minutes(alarms), [[0, 4], [8, 8], [20, 20]])
  assert.deepEqual(alarms.map(({ names }) => names), [['sos'], ['tow'], ['tow']])
})

test('the codes of a refrigeration unit stand beside the alarm', () => {
  assert.deepEqual(of({ 0: { alarm: ['reefer'], 'reefer.alarm.codes': ['63'] } }).alarms[0]?.names, ['reefer', '63'])
})

test('at a moment that holds which the newest record says, what is urgent first', () => {
  const door = (is: boolean, more: RecordOf = {}) => at(0, { 'door.status': is, ...more })
  const records = { 0: at(60), 10: door(true, { alarm: ['door'] }), 20: door(true), 30: door(false), 40: at(60), 50: at(60), 100: at(60) }
  const held = (minute: number, of_: Record<number, RecordOf> = records) => {
    const newest = Object.keys(of_).map(Number).filter((one) => one <= minute).at(-1)
    return heldAt(of(of_), minute * MINUTE, newest === undefined ? undefined : newest * MINUTE, GAP).map(({ kind, from, to }) => [kind, from / MINUTE, to / MINUTE])
  }
  const [alarm, open, stop] = [['alarm', 10, 10], ['door', 10, 30], ['stop', 10, 40]]
  assert.deepEqual(held(-5), [])
  assert.deepEqual(held(5), [['drive', 0, 10]])
  assert.deepEqual([held(10), held(15), held(25), held(30)], [[alarm, open, stop], [alarm, open, stop], [open, stop], [stop]])
  // Between the two ends of a gap nothing else is known, and at them something is.
  assert.deepEqual([held(50), held(70), held(100)], [[['drive', 40, 50]], [['gap', 50, 100]], []])
  // A door of which nothing more was heard is open at the last record, and for as long as values hold.
  const last = { 0: door(true), 5: door(true) }
  assert.deepEqual([held(5, last), held(12, last), held(30, last)], [[['door', 0, 5], ['stop', 0, 5]], [['door', 0, 5]], []])
  // Parked, it says so each hour.
  assert.deepEqual(held(50, { 0: door(true), 60: door(true) }), [['door', 0, 60], ['stop', 0, 60]])
})

test('it is said in words, and without an end where none is known', () => {
  const span = { from: 10 * MINUTE, to: 25 * MINUTE }
  assert.equal(said({ kind: 'stop', ...span }), 'stop, 01:10–01:25, 15 min')
  assert.equal(said({ kind: 'door', ...span, isOver: true }), 'door open, 01:10–01:25, 15 min')
  assert.equal(said({ kind: 'door', ...span }), 'door open since 01:10, 15 min')
  assert.equal(said({ kind: 'alarm', ...span, names: ['sos', 'tow'] }), 'Alarm: SOS button, towed, 01:10:00')
})

test('a degree of latitude is 111 km, and neither a gap nor an unsure place is driven through', () => {
  const place = (latitude: number, more: RecordOf = {}) => at(80, { 'position.latitude': latitude, 'position.longitude': 10, ...more })
  const near = (km: number) => Math.round(km * 10) / 10
  assert.equal(near(of({ 0: place(48), 10: place(49) }).distanceKm), 111.2)
  assert.equal(of({ 0: place(48), 60: place(49) }).distanceKm, 0)
  assert.equal(near(of({ 0: place(48), 5: place(80, { 'position.valid': false }), 10: place(49) }).distanceKm), 111.2)
})

test('a receiver that wanders while it stands drives nowhere', () => {
  const place = (latitude: number) => at(0, { 'position.latitude': latitude, 'position.longitude': 10 })
  assert.equal(of({ 0: place(48), 10: place(48.001), 20: place(48) }).distanceKm, 0)
})
