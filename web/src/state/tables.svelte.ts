// What can be asked in SQL: the tables that the tenant has, with their columns.
import { ask, lines } from '../api/client'
import { dictionary } from './dictionary.svelte'

export type Tables = Record<string, { name: string; detail: string }[]>

interface Column {
  table_name: string
  column_name: string
  data_type: string
}

export async function tables(): Promise<Tables> {
  await dictionary.load()
  const sql = 'SELECT table_name, column_name, data_type FROM information_schema.columns'
  const found: Tables = {}
  try {
    for await (const { table_name: table, column_name: name, data_type: type } of lines<Column>(await ask('post', '/api/v1/sql', { body: { sql } }))) {
      if (table === 'columns' || table.startsWith('df_') || /^(tables|views|schemata|routines|parameters)$/.test(table)) continue
      ;(found[table] ??= []).push({ name, detail: unitOf(name) || type })
    }
  } catch {
    // Without the schema, completion still knows what history always has.
  }
  if (Object.keys(found).length > 0) return found
  const columns = ['device', 'protocol', 'time', 'received', 'id', 'raw'].map((name) => ({ name, detail: '' }))
  const parameters = dictionary.all.filter(({ name }) => !name.includes('{')).map(({ name, unit }) => ({ name: name.replaceAll('.', '_'), detail: unit }))
  return { records: [...columns, ...parameters], last: [...columns, ...parameters], devices: [], events: [], frames: [] }
}

/** A column's unit: `position_speed` is the parameter `position.speed`. */
function unitOf(column: string): string {
  const name = column.replaceAll('_', '.')
  return dictionary.unit(name)
}
