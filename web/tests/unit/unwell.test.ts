// What the page of whoever keeps the server running says: all that health tells, once, with what to do.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Schemas } from '../../src/api/client'
import { en } from '../../src/i18n/en'
import { parse } from '../../src/state/metrics'
import { REMEDIES, unwell, type Health } from '../../src/state/unwell'

const well: Health = { healthy: true, ready: true, parts: [{ part: 'journal', healthy: true, replaced: 0 }] }
const look = (metrics = '', at = 0) => ({ at, metrics: parse(metrics) })
/** As the server says it, also by a code that this page does not know. */
const trouble = (code: string, part: string, what: string, tenant?: string) => ({ code, part, what, tenant }) as Schemas['Trouble']
/** What is said of this health, and what with it. */
const said = (health: Partial<Health>, troubles: Schemas['Trouble'][] = [], metrics = '') => unwell({ ...well, ...health }, [look(metrics)], troubles)
const texts = (health: Partial<Health>, metrics = '') => said(health, [], metrics).map(({ text }) => text)

test('where all is well there is nothing to do, and neither where nobody has looked yet', () => {
  assert.deepEqual([said({}), unwell(undefined, [], [])], [[], []])
})

test('history that is broken, incomplete, damaged or behind is told, with whose and why', () => {
  const found = said({
    history_broken: [{ tenant: 'north', table: 'records', why: 'its log is gone' }],
    history_incomplete: [{ tenant: 'south', table: 'frames', why: 'an older copy' }],
    history_damaged: { files: 12, first: [{ file: 'a.parquet', why: 'cut short' }] },
    history_lacks: 2,
    history_stuck: { seconds: 180, reason: 'no space' }
  }, [trouble('history_stuck', 'history', 'no space'), trouble('history_lacks', 'history', 'places 1 to 2')])
  assert.deepEqual(found.map(({ details }) => details), [['no space'], ['north records: its log is gone'], ['south frames: an older copy'], ['a.parquet: cut short', 'and 11 more'], ['places 1 to 2', 'and 1 more']])
  const [stuck = '', broken = '', incomplete = '', damaged = '', lacks = ''] = found.map(({ text }) => text)
  assert.match(stuck, /for 3 min.*odograph doctor/)
  assert.match(broken, /^A table of history cannot be opened/)
  assert.match(incomplete, /put the newest copy back/)
  assert.match(damaged, /^12 files .* from a backup/)
  assert.match(lacks, /^History lacks 2 stretches .*odograph replay/)
})

test('whoever may not know whose it is sees what to do all the same', () => {
  const found = said({ see: 'the log', history_broken: [{ table: 'records', why: 'it cannot be opened' }], history_damaged: { files: 1, first: [] }, listeners_failed: [{ why: 'it is not open as it should be' }], catalog_unwritable: 'nothing is written' })
  assert.equal(found.length, 4)
  assert.deepEqual(found.flatMap(({ details }) => details), [])
})

test('a part says itself what is wrong with it, and a full disk is said once', () => {
  const part = (part: string, problem?: string) => ({ part, healthy: false, problem, replaced: 0 })
  assert.deepEqual(texts({ parts: [part('seal', 'segments are sealed no more')] }), ['seal: segments are sealed no more. The server’s log says more.'])
  assert.match(texts({ parts: [part('accept')] })[0] ?? '', /^The part accept does not answer/)
  const full = texts({ parts: [part('journal', 'in whatever words')] }, 'odograph_journal_full 1')
  assert.equal(full.length, 1)
  assert.match(full[0] ?? '', /^The disk of the journal is full/)
})

test('each alarm of the server has what to do by its code, and one that nobody knows is shown as it is', () => {
  const alarm_codes = ['budget_near', 'budget_forced', 'quota_near', 'quota_reached', 'erasures_unread', 'clock_ahead']
  const found = texts({ alarms: alarm_codes.map((_, at) => `in words ${at}`), alarm_codes })
  assert.equal(new Set(found).size, alarm_codes.length)
  const expected = [/will soon give up/, /gave up/, /comes near a quota/, /has reached a quota/, /ordered to be erased/, /Put the clock right/]
  expected.forEach((like, at) => assert.match(found[at] ?? '', like))
  const unknown = ['the moon is full. The server’s log says more.']
  assert.deepEqual(texts({ alarms: ['the moon is full'] }), unknown)
  assert.deepEqual(said({ alarms: ['the moon is full'], alarm_codes: ['moon_full'] }, [trouble('moon_full', 'server', 'the moon is full')]).map(({ text }) => text), unknown, 'and once')
})

test('each code of the server has a remedy, and no remedy is of a code that is none', () => {
  const { components } = JSON.parse(readFileSync('../openapi/odograph.json', 'utf8')) as { components: { schemas: Record<string, { enum?: string[] }> } }
  const codes = components.schemas.TroubleCode?.enum ?? []
  assert.deepEqual(Object.keys(REMEDIES).sort(), [...codes].sort())
  const remedies = codes.flatMap((code) => said({}, [trouble(code, 'part', 'what')]).map(({ text }) => text))
  assert.equal(new Set(remedies).size, codes.length)
  for (const remedy of remedies) {
    assert.notEqual(remedy, en['system.problem.other'])
    assert.doesNotMatch(remedy, /[{}]/)
  }
})

test('what those are told who manage tenants is not told twice, and not left out', () => {
  const troubles = [trouble('table_broken', 'records', 'its log is gone', 'north'), trouble('file_damaged', 'file', 'a.parquet: cut short')]
  assert.deepEqual(said({ history_broken: [{ tenant: 'north', table: 'records', why: 'its log is gone' }] }, troubles).map(({ details }) => details), [['north records: its log is gone'], ['file: a.parquet: cut short']])
  assert.deepEqual(said({}, troubles).map(({ details }) => details), [['north records: its log is gone'], ['file: a.parquet: cut short']])
})

test('what the server has a code for that nobody knows here is shown in its words', () => {
  const found = said({}, [trouble('moon_full', 'moon', 'it is full'), trouble('table_broken', 'records', 'its log is gone'), trouble('tide_high', 'sea', 'it is wet', 'north')])
  assert.deepEqual(found.map(({ details }) => details), [['records: its log is gone'], ['moon: it is full', 'north sea: it is wet']])
  assert.equal(found.at(-1)?.text, en['system.problem.other'])
})

test('numbers tell of what is late, and listeners of how many there are', () => {
  const [listeners, lag, ack] = said({ listeners_failed: [{ listener: 'Partner', tenant: 'north', address: ':5000', why: 'in use' }] }, [], 'odograph_listeners{state="failed"} 3\nodograph_pipeline_lag_bytes 9000000\nodograph_ack_seconds_sum 9\nodograph_ack_seconds_count 10')
  assert.match(listeners?.text ?? '', /: 3\. /)
  assert.deepEqual(listeners?.details, ['north Partner :5000: in use', 'and 2 more'])
  assert.match(lag?.text ?? '', /8\.6 MiB behind/)
  assert.match(ack?.text ?? '', /take 900 ms/)
  assert.match(unwell(well, [look('odograph_log_dropped_lines_total 1'), look('odograph_log_dropped_lines_total 2', 5000)], [])[0]?.text ?? '', /^Lines of the log were dropped/)
})
