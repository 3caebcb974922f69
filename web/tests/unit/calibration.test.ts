import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numberOf, pasted, pointsOf, sorted, ticks, type Row } from '../../src/pages/device/sensors/calibration'

const rows = (...pairs: [string, string][]): Row[] => pairs.map(([raw, shown]) => ({ raw, shown }))

test('numbers are read as people write them', () => {
  const check = (text: string, expected: number | undefined) => assert.equal(numberOf(text), expected, text)
  check('12', 12)
  check(' -1.5 ', -1.5)
  check('1,5', 1.5)
  check('1,234', 1.234)
  check('1.234', 1.234)
  check('1 234,5', 1234.5)
  check('1\u202f234', 1234)
  check("1'234.5", 1234.5)
  check('1.234,5', 1234.5)
  check('1,234.5', 1234.5)
  check('1.234.567', 1234567)
  check('\u22127', -7)
  check('2e3', 2000)
  for (const none of ['', 'l', '1-2', '1,2,3', '0x10', 'Infinity', 'NaN', '.', '-']) check(none, undefined)
})

test('two columns of a spreadsheet become rows', () => {
  const check = (text: string, expected: [string, string][], left = 0) => assert.deepEqual(pasted(text), { rows: rows(...expected), left }, JSON.stringify(text))
  check('300\t0\r\n1200\t80\r\n', [['300', '0'], ['1200', '80']])
  check('raw\tlitres\n300\t0\n', [['300', '0']])
  check('0,5\t0\n1,234\t20,5\n', [['0.5', '0'], ['1.234', '20.5']])
  check('0.5\t0\n1,234.5\t20\n', [['0.5', '0'], ['1234.5', '20']])
  check('0.5\t0\n1,234\t20\n', [['0.5', '0'], ['1234', '20']])
  check('0,5;0\n1;20\n', [['0.5', '0'], ['1', '20']])
  check('300, 0\n400, 5', [['300', '0'], ['400', '5']])
  check('300 0\n400 5.5', [['300', '0'], ['400', '5.5']])
  check('300,0\n400,5', [['300', '0'], ['400', '5']])
  check('300\t0\tfirst\n\n400\t5\tsecond', [['300', '0'], ['400', '5']])
  check('300\t0\nempty\tnone\n400', [['300', '0']], 2)
  check('', [])
})

test('a table that cannot be says what and where', () => {
  assert.deepEqual(pointsOf(rows(['0', '0'], ['', ''], ['1', '5'])), { points: [[0, 0], [1, 5]] })
  assert.deepEqual(pointsOf(rows(['0', '0'])).fault, { what: 'few' })
  assert.deepEqual(pointsOf([]).fault, { what: 'few' })
  assert.deepEqual(pointsOf(rows(['0', '0'], ['1', ''])).fault, { what: 'number', at: 1 })
  assert.deepEqual(pointsOf(rows(['0', '0'], ['2', '1'], ['2', '3'])).fault, { what: 'order', at: 2 })
  assert.deepEqual(pointsOf(rows(['0', '9'], ['2', '1'], ['1', '3'], ['x', '3'])).fault, { what: 'order', at: 2 })
  const many = Array.from({ length: 257 }, (_, at): [string, string] => [String(at), '1'])
  assert.deepEqual(pointsOf(rows(...many)).fault, { what: 'many' })
  assert.equal(pointsOf(rows(...many.slice(1))).fault, undefined)
})

test('rows are put in order, and axes have round numbers', () => {
  assert.deepEqual(sorted(rows(['10', '1'], ['', ''], ['x', '2'], ['9,5', '3'])), rows(['9,5', '3'], ['10', '1'], ['x', '2']))
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1])
  assert.deepEqual(ticks(300, 4100, 4), [1000, 2000, 3000, 4000])
  assert.deepEqual(ticks(-7, 3, 3), [-5, 0])
  assert.deepEqual(ticks(4, 4, 3), [4])
})
