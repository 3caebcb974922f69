// What the scripts of the interface weigh, compressed, beside the map library: they have a budget.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const BUDGET = 250_000
const assets = new URL('../dist/assets/', import.meta.url)
let own = 0
for (const name of readdirSync(assets).sort()) {
  if (!name.endsWith('.js')) continue
  const bytes = gzipSync(readFileSync(new URL(name, assets)), { level: 9 }).length
  const isMap = name.startsWith('maplibre-gl')
  if (!isMap) own += bytes
  console.log(`${String(bytes).padStart(8)}  ${name}${isMap ? '  (map library)' : ''}`)
}
console.log(`${String(own).padStart(8)}  own script, of ${BUDGET} bytes`)
if (own > BUDGET) {
  console.error(`own script is ${own - BUDGET} bytes too heavy: leave something out, or load it where it is needed only`)
  process.exit(1)
}
