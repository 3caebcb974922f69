// Maps from PMTiles archives: a file of the server's, or one that somebody has on their computer. What is needed of it is read when it is in view.
import type { StyleSpecification } from 'maplibre-gl'
import { Compression, FetchSource, FileSource, PMTiles, TileType, type Header, type Source } from 'pmtiles'
import { t } from '../i18n/text'
import { archiveStyle, GROUND, hasGround, type Archive, type Look } from './layers'

type Library = typeof import('maplibre-gl')

/** Why an archive cannot be shown, for people. */
export class NotShown extends Error {}

/** What its parts are asked for by, and whether its tiles are to hide the built-in map. */
interface Kept {
  number: number
  archive: PMTiles
  hasGround: boolean
}

const PROTOCOL = 'archive'
/** PMTiles, version 3, §3. */
const HEADER_BYTES = 127
const MAGIC = 'PMTiles'
const VERSION = 3
const PICTURES: readonly TileType[] = [TileType.Png, TileType.Jpeg, TileType.Webp, TileType.Avif]
const READABLE: readonly Compression[] = [Compression.Unknown, Compression.None, Compression.Gzip]
/** Who made it says in a line whom to name. */
const ATTRIBUTION_CHARS_MAX = 1000

/** By their files or addresses. What is the server's, maps that are opened anew know from the ones before; a file is kept while a map shows it. */
const kept = new Map<File | string, Kept>()
/** Whoever has a link asks by it, and nobody else does. */
const keyOf = (of: File | string, link?: string): File | string => (typeof of === 'string' ? `${of} ${link ?? ''}` : of)
/** How many need a file: what was read of one that nobody does is let go. */
const holders = new Map<File, number>()
let last = 0
let isSpoken = false

/** Says why a file is none that maps show; nothing of one that is. */
export async function whyNot(file: File): Promise<string | undefined> {
  const letGo = hold(file)
  try {
    await aboutFile(file)
    await look(file)
    return undefined
  } catch (error) {
    return told(error)
  } finally {
    letGo()
  }
}

/** From now on somebody needs the file, until what is given back is called. */
export function hold(file: File): () => void {
  holders.set(file, (holders.get(file) ?? 0) + 1)
  let isHeld = true
  return () => {
    if (!isHeld) return
    isHeld = false
    const rest = (holders.get(file) ?? 0) - 1
    if (rest > 0) holders.set(file, rest)
    else {
      holders.delete(file)
      kept.delete(file)
    }
  }
}

/** Why it failed, for people. */
export const told = (error: unknown): string => (error instanceof NotShown ? error.message : t('map.file.damaged', { why: error instanceof Error ? error.message : String(error) }))

/** What the library would take for damage is said by its name. */
async function aboutFile(file: File): Promise<void> {
  const bytes = new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer())
  const [magic, version = 0] = [new TextDecoder('latin1').decode(bytes.slice(0, MAGIC.length)), bytes[MAGIC.length]]
  if (magic !== MAGIC || bytes.length < HEADER_BYTES) throw new NotShown(t('map.file.none'))
  if (version !== VERSION) throw new NotShown(t('map.file.version', { version }))
}

/** The style of the built-in map with an archive above it. `link` is the secret of whoever has not signed in. */
export async function withArchive(library: Library, base: StyleSpecification, of: File | string, how: Look, link?: string): Promise<StyleSpecification> {
  if (!isSpoken) library.addProtocol(PROTOCOL, ({ url }, { signal }) => tile(url, signal))
  isSpoken = true
  return archiveStyle(base, await look(of, link), how)
}

function open(of: File | string, link?: string): Kept {
  const known = kept.get(keyOf(of, link))
  if (known) return known
  const source: Source = typeof of === 'string' ? new FetchSource(new URL(of, location.href).href, new Headers(link ? { Authorization: `Bearer ${link}` } : {})) : new FileSource(of)
  const opened = { number: (last += 1), archive: new PMTiles(source), hasGround: false }
  kept.set(keyOf(of, link), opened)
  return opened
}

async function look(of: File | string, link?: string): Promise<Archive> {
  const isNew = !kept.has(keyOf(of, link))
  const opened = open(of, link)
  try {
    const header = await opened.archive.getHeader()
    check(header)
    const said = described(await opened.archive.getMetadata())
    const isRaster = PICTURES.includes(header.tileType)
    if (!isRaster && said.layers.length === 0) throw new NotShown(t('map.file.layers'))
    const archive = { tiles: `${PROTOCOL}://${opened.number}/{z}/{x}/{y}`, isRaster, ...said, zooms: [header.minZoom, header.maxZoom] as const, bounds: boundsOf(header) }
    opened.hasGround = hasGround(archive)
    return archive
  } catch (error) {
    // The next map asks anew: what failed may be there again.
    if (isNew) kept.delete(keyOf(of, link))
    throw error
  }
}

function check({ tileType, tileCompression, internalCompression }: Header): void {
  if (tileType !== TileType.Mvt && !PICTURES.includes(tileType)) throw new NotShown(t('map.file.tiles'))
  if (!READABLE.includes(tileCompression) || !READABLE.includes(internalCompression)) throw new NotShown(t('map.file.compression'))
}

/** What is of use in the metadata, which may be anything. */
export function described(metadata: unknown): { layers: string[]; attribution: string | undefined } {
  const { vector_layers: listed, attribution } = (typeof metadata === 'object' && metadata !== null ? metadata : {}) as Record<string, unknown>
  const ids = (Array.isArray(listed) ? listed : []).map((one: unknown) => (typeof one === 'object' && one !== null ? (one as { id?: unknown }).id : undefined))
  const layers = [...new Set(ids.filter((id): id is string => typeof id === 'string' && id !== ''))]
  return { layers, attribution: typeof attribution === 'string' ? attribution.slice(0, ATTRIBUTION_CHARS_MAX) : undefined }
}

/** Bounds that are none would keep every tile away. */
function boundsOf({ minLon, minLat, maxLon, maxLat }: Header): Archive['bounds'] {
  return minLon < maxLon && minLat < maxLat ? [minLon, minLat, maxLon, maxLat] : undefined
}

async function tile(url: string, signal: AbortSignal): Promise<{ data: ArrayBuffer }> {
  const [number, z, x, y] = url.slice(`${PROTOCOL}://`.length).split('/').map(Number)
  const of = [...kept.values()].find((one) => one.number === number)
  if (!of || z === undefined || x === undefined || y === undefined) throw new Error(t('map.file.gone'))
  const found = await of.archive.getZxy(z, x, y, signal)
  if (!found) return { data: new ArrayBuffer(0) }
  return { data: of.hasGround ? grounded(found.data) : found.data }
}

/** The tile with one more layer, which covers all of it. Layers of a tile follow each other, so that it needs not be read. */
export function grounded(tile: ArrayBuffer): ArrayBuffer {
  const all = new Uint8Array(tile.byteLength + GROUND_LAYER.length)
  all.set(new Uint8Array(tile))
  all.set(GROUND_LAYER, tile.byteLength)
  return all.buffer
}

/** Mapbox Vector Tile Specification 2.1, §4: a layer with one square, a little larger than the tile. */
const GROUND_LAYER = groundLayer()
function groundLayer(): Uint8Array {
  const [extent, edge] = [4096, 64]
  const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)])
  const field = (number: number, bytes: number[]) => [(number << 3) | 2, ...varint(bytes.length), ...bytes]
  const zigzag = (value: number) => varint(value < 0 ? -2 * value - 1 : 2 * value)
  const [moveTo, lineTo, closePath] = [(1 << 3) | 1, (3 << 3) | 2, (1 << 3) | 7]
  const side = extent + 2 * edge
  const ring = [moveTo, ...zigzag(-edge), ...zigzag(-edge), lineTo, ...zigzag(side), 0, 0, ...zigzag(side), ...zigzag(-side), 0, closePath]
  const polygon = [3 << 3, 3, ...field(4, ring)]
  const layer = [15 << 3, 2, ...field(1, [...new TextEncoder().encode(GROUND)]), ...field(2, polygon), 5 << 3, ...varint(extent)]
  return Uint8Array.from(field(3, layer))
}
