import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choices, CHOICES_MAX, tokens } from '../../src/state/query'

const column = (name: string, detail = '') => ({ name, detail })
const tables = { records: [column('device'), column('time'), column('position_speed', 'km/h'), column('odd', 'none')], frames: [column('place'), column('hex')] }

test('a query is all of its parts', () => {
  const check = (query: string, expected: string) => {
    const all = tokens(query)
    assert.equal(all.map(({ text }) => text).join(''), query)
    assert.equal(all.filter(({ kind }) => kind !== 'other').map(({ kind, text }) => `${kind}:${text}`).join(' '), expected)
  }
  check('SELECT max(time) FROM "a b"', 'word:SELECT name:max word:time word:FROM name:"a b"')
  check("x = 'it''s -- no' -- yes\n+ 1.5e3", "name:x text:'it''s -- no' comment:-- yes number:1.5e3")
  check("'open", "text:'open")
  check('/* open\nstill', 'comment:/* open\nstill')
  check('größe2 > 20', 'name:größe2 number:20')
  check('', '')
})

test('what can stand at a place is offered, the nearest first', () => {
  /** The cursor is where the bar is. */
  const check = (written: string, expected: string[], from: number) => {
    const cursor = written.indexOf('|')
    const found = choices(written.replace('|', ''), cursor, tables)
    assert.deepEqual([found.all.slice(0, expected.length).map(({ name }) => name), found.from], [expected, from], written)
  }
  check('SELECT po| FROM records', ['position_speed', 'power'], 7)
  check('SELECT sp| FROM records', ['position_speed'], 7)
  check('SELECT r.od| FROM records AS r', ['odd'], 9)
  check('SELECT f.| FROM records r JOIN frames f', ['place', 'hex'], 9)
  check('SELECT * FROM |', ['records', 'frames'], 14)
  check('SELECT * FROM records wh|', ['WHEN', 'WHERE'], 22)
  const none = (written: string) => assert.deepEqual(choices(written, written.length, tables).all, [], written)
  none("SELECT 'po")
  none('SELECT 1 -- po')
  none('SELECT nobody.po')
  none('SELECT device FROM records WHERE zzzz')
  assert.equal(choices('', 0, tables).all.length, CHOICES_MAX)
  assert.equal(choices('SELECT po FROM records', 9, tables).all[0]?.detail, 'km/h')
})
