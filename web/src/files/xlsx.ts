// A workbook of rows, for those who go on in a spreadsheet: times are times, numbers are numbers, and text is never a formula.
import type { Row } from '../state/answer'
import { Archive } from './zip'

/** More rows are for CSV or Parquet: all of a workbook is in memory, here and in the program that opens it. */
export const SHEET_ROWS_MAX = 100_000
/** What the format can hold. */
const COLUMNS_MAX = 16_384
const TEXT_MAX = 32_767
/** Numbers in a workbook have so many digits: longer ones, such as ids, stay whole as text. */
const DIGITS_MAX = 15
const TYPE = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'

export interface Sheet {
  name: string
  rows: readonly Row[]
  columns: readonly string[]
  /** A column's heading, which is its name where nothing is said. */
  title?: (column: string) => string
  /** The name of the time zone that times are in, which the format has no place for, and how far it is ahead of UTC. */
  zone: string
  offset: (ms: number) => number
  /** What whoever opens the file must know of it, on a sheet of its own. */
  note?: { name: string; text: string }
}

export async function workbook(sheet: Sheet): Promise<Blob> {
  const { note } = sheet
  const archive = new Archive()
  const sheets = [sheet.name, ...(note ? [note.name] : [])]
  await archive.add('[Content_Types].xml', [contentTypes(sheets)])
  await archive.add('_rels/.rels', [relations([['officeDocument', 'xl/workbook.xml']])])
  await archive.add('xl/workbook.xml', [book(sheets)])
  await archive.add('xl/_rels/workbook.xml.rels', [relations([...sheets.map((_, at) => ['worksheet', `worksheets/sheet${at + 1}.xml`] as const), ['styles', 'styles.xml']])])
  await archive.add('xl/styles.xml', [styles])
  await archive.add('xl/worksheets/sheet1.xml', table(sheet))
  if (note) await archive.add('xl/worksheets/sheet2.xml', [`${HEAD}<worksheet ${MAIN}><sheetData><row r="1">${cellOf('A1', note.text)}</row></sheetData></worksheet>`])
  return archive.blob(TYPE)
}

type Kind = 'time' | 'day' | 'other'
/** As `styles` lists them. */
const STYLE = { time: 1, day: 2, heading: 3, quoted: 4 } as const
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/
const DAY = /^\d{4}-\d{2}-\d{2}$/
const DAY_MS = 86_400_000
/** Workbooks count days from the end of 1899, and hold nothing before. */
const EPOCH_DAYS = 25_569
const FIRST_MS = Date.UTC(1900, 2, 1)
/** Rows that are compressed together. */
const BATCH = 200

function* table({ rows, columns, title, zone, offset }: Sheet): Generator<string> {
  const names = columns.slice(0, COLUMNS_MAX)
  const letters = names.map((_, at) => lettersOf(at))
  const kinds = names.map((name) => kindOf(rows, name))
  const shift = quarterHours(offset)
  const headings = names.map((name, at) => (title?.(name) ?? name) + (kinds[at] === 'time' ? ` (${zone})` : ''))
  const width = (kind: Kind, heading: string) => (kind === 'time' ? 20 : Math.min(40, Math.max(10, heading.length + 2)))
  yield `${HEAD}<worksheet ${MAIN}><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>`
  if (names.length > 0) yield `<cols>${headings.map((heading, at) => `<col min="${at + 1}" max="${at + 1}" width="${width(kinds[at] ?? 'other', heading)}" customWidth="1"/>`).join('')}</cols>`
  yield `<sheetData><row r="1">${headings.map((heading, at) => cellOf(`${letters[at]}1`, heading, STYLE.heading)).join('')}</row>`
  for (let begin = 0; begin < rows.length; begin += BATCH) {
    yield rows.slice(begin, begin + BATCH).map((row, index) => {
      const number = begin + index + 2
      return `<row r="${number}">${names.map((name, at) => valueOf(`${letters[at]}${number}`, row[name], kinds[at] ?? 'other', shift)).join('')}</row>`
    }).join('')
  }
  yield '</sheetData></worksheet>'
}

/** A column is one of times only where all that stands in it are times. */
function kindOf(rows: readonly Row[], name: string): Kind {
  let kind: Kind | undefined
  for (const row of rows) {
    const value = row[name]
    if (value === null || value === undefined) continue
    const is = typeof value !== 'string' ? 'other' : TIME.test(value) ? 'time' : DAY.test(value) ? 'day' : 'other'
    if (is === 'other' || (kind !== undefined && is !== kind)) return 'other'
    kind = is
  }
  return kind ?? 'other'
}

/** Clocks are turned at quarters of an hour: so seldom is it worked out how far a zone is ahead. */
function quarterHours(offset: (ms: number) => number): (ms: number) => number {
  const QUARTER_MS = 900_000
  const known = new Map<number, number>()
  return (ms) => {
    const quarter = Math.floor(ms / QUARTER_MS)
    let found = known.get(quarter)
    if (found === undefined) known.set(quarter, (found = offset(quarter * QUARTER_MS)))
    return found
  }
}

function valueOf(cell: string, value: unknown, kind: Kind, shift: (ms: number) => number): string {
  if (value === null || value === undefined) return ''
  if (kind !== 'other') {
    const ms = Date.parse(String(value))
    if (!Number.isFinite(ms)) return cellOf(cell, String(value))
    const local = kind === 'time' ? ms + shift(ms) : ms
    return local < FIRST_MS ? cellOf(cell, String(value)) : `<c r="${cell}" s="${STYLE[kind]}"><v>${local / DAY_MS + EPOCH_DAYS}</v></c>`
  }
  if (typeof value === 'boolean') return `<c r="${cell}" t="b"><v>${Number(value)}</v></c>`
  if (typeof value === 'number' && Number.isFinite(value)) {
    const isLong = Number.isInteger(value) && Math.abs(value) >= 10 ** DIGITS_MAX
    return isLong ? cellOf(cell, String(value)) : `<c r="${cell}"><v>${value}</v></c>`
  }
  const isWords = Array.isArray(value) && value.every((one) => typeof one !== 'object')
  return cellOf(cell, isWords ? value.join(', ') : typeof value === 'object' ? JSON.stringify(value) : String(value))
}

/** What programs take for a formula once somebody edits the cell: such text says that it is text. */
const LIKE_A_FORMULA = /^[=+\-@\t\r]/

/** A cell of text, which is part of the cell and so never a formula. */
function cellOf(cell: string, text: string, style?: number): string {
  const as = style ?? (LIKE_A_FORMULA.test(text) ? STYLE.quoted : undefined)
  return `<c r="${cell}" t="inlineStr"${as === undefined ? '' : ` s="${as}"`}><is><t xml:space="preserve">${escaped(text.slice(0, TEXT_MAX))}</t></is></c>`
}

const marks: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text in XML. What XML cannot hold is written as the format does it, and what looks like that already is kept apart. */
export function escaped(text: string): string {
  return text
    .replace(/_(?=x[0-9A-Fa-f]{4}_)/g, '_x005F_')
    .replace(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, (odd) => `_x${odd.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`)
    .replace(/[&<>"]/g, (mark) => marks[mark] ?? mark)
}

/** `A` to `Z`, and then `AA`. */
export function lettersOf(at: number): string {
  return (at >= 26 ? lettersOf(Math.floor(at / 26) - 1) : '') + String.fromCharCode(65 + (at % 26))
}

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006'
const PART = 'application/vnd.openxmlformats-officedocument.spreadsheetml.'

/** Names of sheets: 31 characters at most, some characters not at all, and no name twice. */
export function sheetNames(names: readonly string[]): string[] {
  const taken = new Set<string>()
  return names.map((name, at) => {
    const plain = name.replace(/[[\]:*?/\\']/g, ' ').trim().slice(0, 28) || 'Sheet'
    const own = taken.has(plain.toLowerCase()) ? `${plain} ${at + 1}` : plain
    taken.add(own.toLowerCase())
    return own
  })
}

function contentTypes(sheets: readonly string[]): string {
  const override = (name: string, type: string) => `<Override PartName="/xl/${name}" ContentType="${PART}${type}+xml"/>`
  return `${HEAD}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>${override('workbook.xml', 'sheet.main')}${sheets.map((_, at) => override(`worksheets/sheet${at + 1}.xml`, 'worksheet')).join('')}${override('styles.xml', 'styles')}</Types>`
}

function relations(those: readonly (readonly [kind: string, target: string])[]): string {
  return `${HEAD}<Relationships xmlns="${PACKAGE}/relationships">${those.map(([kind, target], at) => `<Relationship Id="r${at + 1}" Type="${OFFICE}/${kind}" Target="${target}"/>`).join('')}</Relationships>`
}

function book(sheets: readonly string[]): string {
  return `${HEAD}<workbook ${MAIN} xmlns:r="${OFFICE}"><sheets>${sheetNames(sheets).map((name, at) => `<sheet name="${escaped(name)}" sheetId="${at + 1}" r:id="r${at + 1}"/>`).join('')}</sheets></workbook>`
}

const format = (id: number, code: string) => `<numFmt numFmtId="${id}" formatCode="${code}"/>`
const style = (format: number, more = '') => `<xf numFmtId="${format}" fontId="0" fillId="0" borderId="0" xfId="0" ${more}/>`
const styles = `${HEAD}<styleSheet ${MAIN}><numFmts count="2">${format(164, 'yyyy\\-mm\\-dd hh:mm:ss')}${format(165, 'yyyy\\-mm\\-dd')}</numFmts>` +
  '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>' +
  '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>' +
  `<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="5">${style(0)}${style(164, 'applyNumberFormat="1"')}${style(165, 'applyNumberFormat="1"')}` +
  `<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>${style(49, 'quotePrefix="1" applyNumberFormat="1"')}</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`
