// Making a workbook of an answer of JSON lines, and what is said while and after that.
import { lines, Problem } from '../api/client'
import { counted, t } from '../i18n/text'
import { rowOf, type Row } from '../state/answer'
import { Attempt } from '../state/attempt.svelte'
import { offset } from '../state/time'
import { zone } from '../state/zone.svelte'

/** So often it is said how far it has come. */
const TOLD_ROWS = 1000

export interface Wanted {
  /** Of the file and its sheet. */
  name: string
  ask: (signal: AbortSignal) => Promise<Response>
  title?: (column: string) => string
}

export class SheetExport extends Attempt {
  /** What has become of it. */
  said = $state('')

  make(wanted: Wanted): Promise<boolean> {
    return this.do(async () => {
      this.said = t('export.xlsx.making', { n: 0 })
      try {
        await this.#make(wanted)
      } catch (error) {
        this.said = ''
        throw error
      }
    })
  }

  async #make({ name, ask, title }: Wanted): Promise<void> {
    const { SHEET_ROWS_MAX, workbook } = await arrived(import('./xlsx'))
    const request = new AbortController()
    const rows: Row[] = []
    const columns = new Set<string>()
    let isCut = false
    const answer = await ask(request.signal)
    await arrived((async () => {
      for await (const row of lines<Row>(answer, rowOf)) {
        if (rows.length >= SHEET_ROWS_MAX) {
          isCut = true
          break
        }
        for (const column of Object.keys(row)) columns.add(column)
        rows.push(row)
        if (rows.length % TOLD_ROWS === 0) this.said = t('export.xlsx.making', { n: rows.length })
      }
    })())
    request.abort()
    const note = isCut ? { note: { name: t('export.xlsx.note'), text: t('export.xlsx.cut', { n: SHEET_ROWS_MAX }) } } : {}
    save(await workbook({ name, rows, columns: [...columns], zone: zone(), offset, ...note, ...(title ? { title } : {}) }), `${name}.xlsx`)
    this.said = isCut ? t('export.xlsx.cut', { n: SHEET_ROWS_MAX }) : counted('export.xlsx.done', rows.length)
  }
}

/** A line that breaks in the middle is a problem like one that was never there. */
async function arrived<T>(coming: Promise<T>): Promise<T> {
  try {
    return await coming
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0, 'network', '', '')
  }
}

/** Gives a file to whoever asked for it. */
export function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file)
  Object.assign(document.createElement('a'), { href: url, download: name.replace(/[/\\:*?"<>|]/g, '-') }).click()
  URL.revokeObjectURL(url)
}
