// Writes each file of dist/ that compresses well a second and third time, with Brotli and gzip: the server sends what a browser
// takes and has no need to compress anything itself.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const compressible = /\.(css|geojson|html|js|json|svg|txt|webmanifest)$/;
/** Smaller files gain nothing. */
const leastBytes = 1024;

const names = readdirSync(dist, { recursive: true }).filter((name) => compressible.test(name));
for (const name of names) {
  const path = join(dist, name);
  const bytes = readFileSync(path);
  if (bytes.length < leastBytes) continue;
  // The best quality takes half a minute for the map alone, and saves some per cent.
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });
  writeFileSync(`${path}.br`, brotli);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}
console.log(`${names.length} files compressed`);
