// Workbooks: what stands in them, read back with another reader of archives.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 as reference, inflateRawSync } from 'node:zlib'
import { escaped, lettersOf, sheetNames, workbook, type Sheet } from '../../src/files/xlsx'
import { crc32 } from '../../src/files/zip'
import type { Row } from '../../src/state/answer'

/** The files of an archive, found by its table of contents, each checked against its sum. */
async function files(archive: Blob): Promise<Map<string, string>> {
  const bytes = Buffer.from(await archive.arrayBuffer())
  const end = bytes.length - 22
  assert.equal(bytes.readUInt32LE(end), 0x06054b50)
  const found = new Map<string, string>()
  let at = bytes.readUInt32LE(end + 16)
  for (let count = bytes.readUInt16LE(end + 10); count > 0; count -= 1) {
    assert.equal(bytes.readUInt32LE(at), 0x02014b50)
    const [sum, packed, plain, length, own] = [bytes.readUInt32LE(at + 16), bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 24), bytes.readUInt16LE(at + 28), bytes.readUInt32LE(at + 42)]
    const name = bytes.toString('utf8', at + 46, at + 46 + length)
    assert.equal(bytes.readUInt32LE(own), 0x04034b50)
    assert.equal(bytes.toString('utf8', own + 30, own + 30 + length), name)
    const content = inflateRawSync(bytes.subarray(own + 30 + length, own + 30 + length + packed))
    assert.deepEqual([content.length, crc32(content)], [plain, sum])
    found.set(name, content.toString('utf8'))
    at += 46 + length
  }
  assert.equal(at, end)
  return found
}
async function sheet(rows: Row[], more: Partial<Sheet> = {}): Promise<string> {
  const columns = [...new Set(rows.flatMap(Object.keys))]
  const made = await files(await workbook({ name: 'rows', rows, columns, zone: 'Europe/Berlin', offset: () => 7_200_000, ...more }))
  return made.get('xl/worksheets/sheet1.xml') ?? ''
}
const cell = (xml: string, at: string) => new RegExp(`<c r="${at}"[^>]*?(?:/>|>.*?</c>)`).exec(xml)?.[0]

test('the sum of an archive is that of everyone', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926)
  assert.equal(crc32(Buffer.from('6789'), crc32(Buffer.from('12345'))), 0xcbf43926)
  assert.equal(crc32(Buffer.from('é')), reference('é'))
})

test('a workbook has all its parts', async () => {
  const names = [...(await files(await workbook({ name: 'a', rows: [], columns: [], zone: 'UTC', offset: () => 0 }))).keys()]
  assert.deepEqual(names, ['[Content_Types].xml', '_rels/.rels', 'xl/workbook.xml', 'xl/_rels/workbook.xml.rels', 'xl/styles.xml', 'xl/worksheets/sheet1.xml'])
})

test('a moment is a number of days by the clock of the zone, and its heading names that zone', async () => {
  const xml = await sheet([{ time: '2026-06-01T10:00:00.000Z', day: '2026-06-01' }])
  // 1 June 2026 is day 46174, and 10:00 UTC is noon in Berlin.
  assert.equal(cell(xml, 'A2'), '<c r="A2" s="1"><v>46174.5</v></c>')
  assert.equal(cell(xml, 'B2'), '<c r="B2" s="2"><v>46174</v></c>')
  assert.match(cell(xml, 'A1') ?? '', />time \(Europe\/Berlin\)</)
  assert.match(cell(xml, 'B1') ?? '', />day</)
})

test('where clocks are turned, each moment has its own hour', async () => {
  const turned = Date.UTC(2026, 2, 29, 1)
  const xml = await sheet([{ time: '2026-03-29T00:59:59Z' }, { time: '2026-03-29T01:00:00Z' }], { offset: (ms) => (ms < turned ? 3_600_000 : 7_200_000) })
  const days = ['A2', 'A3'].map((at) => Number(/<v>(.*)<\/v>/.exec(cell(xml, at) ?? '')?.[1]))
  assert.equal(Math.round(((days[1] ?? 0) - (days[0] ?? 0)) * 86_400), 3601)
})

test('a column of times in which something else stands is text', async () => {
  const xml = await sheet([{ at: '2026-06-01T10:00:00Z' }, { at: 'never' }])
  assert.match(cell(xml, 'A2') ?? '', /t="inlineStr".*>2026-06-01T10:00:00Z</)
})

test('numbers are numbers, yes is yes, and nothing is an empty cell', async () => {
  const xml = await sheet([{ a: -18.25, b: true, c: null, d: 0 }])
  assert.deepEqual([cell(xml, 'A2'), cell(xml, 'B2'), cell(xml, 'C2'), cell(xml, 'D2')], ['<c r="A2"><v>-18.25</v></c>', '<c r="B2" t="b"><v>1</v></c>', undefined, '<c r="D2"><v>0</v></c>'])
})

test('a long id keeps all its digits', async () => {
  const xml = await sheet([{ imei: '350000000000001', id: 1_234_567_890_123_456 }])
  assert.match(cell(xml, 'A2') ?? '', /inlineStr.*>350000000000001</)
  assert.match(cell(xml, 'B2') ?? '', /inlineStr.*>1234567890123456</)
})

test('no text becomes a formula, neither now nor when its cell is edited', async () => {
  const bad = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '=HYPERLINK("http://x","y")']
  const xml = await sheet(bad.map((text) => ({ text })))
  assert.doesNotMatch(xml, /<f[ >]/)
  bad.forEach((_, at) => assert.match(cell(xml, `A${at + 2}`) ?? '', /t="inlineStr" s="4"/))
  const heading = await sheet([{ '=evil': 1 }])
  assert.match(cell(heading, 'A1') ?? '', /t="inlineStr"/)
})

test('lists are read with commas, and what is in pieces is JSON', async () => {
  const xml = await sheet([{ alarm: ['sos', 'tow'], raw: { a: '<b>' } }])
  assert.match(cell(xml, 'A2') ?? '', />sos, tow</)
  assert.match(cell(xml, 'B2') ?? '', />\{&quot;a&quot;:&quot;&lt;b&gt;&quot;\}</)
})

test('what XML cannot hold is written as the format does it', () => {
  assert.equal(escaped('a\u0000\u001f\ud800z\r\n'), 'a_x0000__x001F__xD800_z_x000D_\n')
  assert.equal(escaped('_x0041_ & <'), '_x005F_x0041_ &amp; &lt;')
  assert.equal(escaped('😀'), '😀')
})

test('columns go on behind Z, and sheets have names that programs take', () => {
  assert.deepEqual([0, 25, 26, 51, 52, 701, 702].map(lettersOf), ['A', 'Z', 'AA', 'AZ', 'BA', 'ZZ', 'AAA'])
  assert.deepEqual(sheetNames(['a/b:c', 'Note', 'note', '']), ['a b c', 'Note', 'note 3', 'Sheet'])
  assert.equal(sheetNames(['x'.repeat(99)])[0]?.length, 28)
})

test('a note stands on a sheet of its own', async () => {
  const made = await files(await workbook({ name: 'a', rows: [{ a: 1 }], columns: ['a'], zone: 'UTC', offset: () => 0, note: { name: 'Note', text: 'The first rows.' } }))
  assert.match(made.get('xl/worksheets/sheet2.xml') ?? '', />The first rows\.</)
  assert.match(made.get('xl/workbook.xml') ?? '', /name="Note" sheetId="2"/)
})

test('a hundred thousand rows take seconds, not minutes', async () => {
  const rows = Array.from({ length: 100_000 }, (_, at) => ({ time: new Date(at * 30_000 + Date.UTC(2026, 0, 1)).toISOString(), n: at / 7, text: `row ${at}` }))
  const begun = performance.now()
  const xml = await sheet(rows)
  assert.ok(performance.now() - begun < 60_000)
  assert.match(cell(xml.slice(-2000), 'C100001') ?? '', />row 99999</)
})
