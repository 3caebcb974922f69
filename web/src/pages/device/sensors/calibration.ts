// Calibration tables as people write them: what a spreadsheet pastes, what is wrong with a table, and the line through it.

export type Point = readonly [raw: number, shown: number]
/** A point as it is typed. */
export interface Row { raw: string; shown: string }
export interface Fault { what: 'few' | 'many' | 'number' | 'order'; at?: number }

/** The server takes no table with fewer points, or with more. */
export const POINTS_MIN = 2
export const POINTS_MAX = 256

/** What people and spreadsheets put between digits that means nothing. */
const BETWEEN = /[\s\u00a0\u2009\u202f'’]/g
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** A number as it is written in many places: `1.5`, `1,5`, `1 234.5`, `1.234,5`. Commas that could be either are decimal ones. */
export function numberOf(text: string, comma: Comma = commaOf([text])): number | undefined {
  let plain = text.replace(BETWEEN, '').replace('\u2212', '-')
  if (comma === 'thousands') plain = plain.replaceAll(',', '')
  else if (plain.includes(',') || /^[+-]?\d{1,3}(\.\d{3}){2,}$/.test(plain)) plain = plain.replaceAll('.', '').replace(',', '.')
  return NUMBER.test(plain) ? Number(plain) : undefined
}

type Comma = 'decimal' | 'thousands'
/** What commas mean in cells that one hand wrote. */
function commaOf(cells: readonly string[]): Comma {
  if (cells.some((cell) => /,\d*\.\d*$/.test(cell))) return 'thousands'
  const hasDecimalComma = cells.some((cell) => /,(?!\d{3}(\D|$))/.test(cell.trim()))
  const hasDecimalDot = cells.some((cell) => /^[^,.]*\.(?!\d{3}(\D|$))[^,.]*$/.test(cell.trim()))
  return hasDecimalDot && !hasDecimalComma ? 'thousands' : 'decimal'
}

/** The first two columns of what was copied elsewhere, and how many lines were none. A heading is not one of those. */
export function pasted(text: string): { rows: Row[]; left: number } {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '').map(cellsOf)
  const comma = commaOf(lines.flat())
  const rows: Row[] = []
  let left = 0
  lines.forEach(([first = '', second = ''], at) => {
    const [raw, shown] = [numberOf(first, comma), numberOf(second, comma)]
    if (raw !== undefined && shown !== undefined) rows.push({ raw: String(raw), shown: String(shown) })
    else if (at > 0) left += 1
  })
  return { rows, left }
}

function cellsOf(line: string): string[] {
  if (line.includes('\t')) return line.split('\t')
  if (line.includes(';')) return line.split(';')
  const words = line.trim().split(/,?\s+/)
  return words.length > 1 ? words : line.split(',')
}

/** The points of a table, and what is wrong with it first. Empty rows are no points. */
export function pointsOf(rows: readonly Row[]): { points: Point[]; fault?: Fault } {
  const points: Point[] = []
  let fault: Fault | undefined
  rows.forEach((row, at) => {
    if (isEmpty(row)) return
    const [raw, shown] = [numberOf(row.raw), numberOf(row.shown)]
    if (raw === undefined || shown === undefined) {
      fault ??= { what: 'number', at }
      return
    }
    const before = points.at(-1)
    if (before && raw <= before[0]) fault ??= { what: 'order', at }
    points.push([raw, shown])
  })
  if (points.length > POINTS_MAX) fault ??= { what: 'many' }
  if (points.length < POINTS_MIN) fault ??= { what: 'few' }
  return fault ? { points, fault } : { points }
}

export const isEmpty = ({ raw, shown }: Row): boolean => raw.trim() === '' && shown.trim() === ''

/** The rows in the order of what the device says; those that are no numbers stay behind. */
export function sorted(rows: readonly Row[]): Row[] {
  const place = ({ raw }: Row) => numberOf(raw) ?? Infinity
  return rows.filter((row) => !isEmpty(row)).sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)))
}

/** Round numbers between two, for an axis: few, and none beyond. */
export function ticks(low: number, high: number, most: number): number[] {
  const span = high - low
  if (!(span > 0)) return [low]
  const rough = span / most
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((times) => times * power >= rough) ?? 10)
  const all: number[] = []
  // Multiplied, not added up: ten times 0.1 is 1.
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) all.push(Number((n * step).toPrecision(12)))
  return all
}
