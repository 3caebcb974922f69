// Compresses what was built, once and as well as it goes: the server sends it as it is.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const wanted = /\.(js|css|html|json|svg)$/
/** Less is not worth a file of its own. */
const BYTES_MIN = 1024
/** More takes a minute at the best quality, and gains a few percent. */
const BYTES_SLOW = 600_000

for (const entry of readdirSync(dist, { recursive: true })) {
  if (!wanted.test(entry)) continue
  const path = join(dist, entry)
  const bytes = readFileSync(path)
  if (bytes.length < BYTES_MIN) continue
  const quality = bytes.length > BYTES_SLOW ? 9 : 11
  const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }))
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
}
