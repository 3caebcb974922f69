// Makes small PMTiles archives (version 3 of the specification), and the tiles in them: pictures of one colour, and vector tiles (version 2.1).
import { crc32, deflateSync, gzipSync } from 'node:zlib'

export interface Feature {
  shape: 'point' | 'line' | 'area'
  /** Each a line or ring, in units of which a tile has 4,096. */
  parts: (readonly [number, number])[][]
  about?: Record<string, string | number>
}

export interface Tile {
  at: readonly [zoom: number, x: number, y: number]
  bytes: Buffer
}

interface Content {
  kind: 'vector' | 'png'
  tiles: readonly Tile[]
  metadata: unknown
  bounds?: readonly [number, number, number, number]
}

function varint(value: number): number[] {
  const bytes = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return [...bytes, value]
}

/** The place of a tile on the curve that goes through all tiles, zoom by zoom. */
export function tileId([zoom, column, row]: Tile['at']): number {
  let id = (4 ** zoom - 1) / 3
  let [x, y] = [column, row]
  for (let half = 2 ** zoom / 2; half >= 1; half /= 2) {
    const [right, low] = [x & half ? 1 : 0, y & half ? 1 : 0]
    id += half * half * ((3 * right) ^ low)
    if (!low) {
      if (right) [x, y] = [half - 1 - (x & (half - 1)), half - 1 - (y & (half - 1))]
      ;[x, y] = [y, x]
    }
    ;[x, y] = [x & (half - 1), y & (half - 1)]
  }
  return id
}

export function archive({ kind, tiles, metadata, bounds = [-180, -85, 180, 85] }: Content): Buffer {
  const sorted = tiles.map(({ at, bytes }) => ({ id: tileId(at), zoom: at[0], bytes: kind === 'vector' ? gzipSync(bytes) : bytes })).sort((one, other) => one.id - other.id)
  const data = Buffer.concat(sorted.map(({ bytes }) => bytes))
  let before = 0
  const directory = gzipSync(Buffer.from([
    ...varint(sorted.length),
    ...sorted.flatMap(({ id }, n) => varint(id - (sorted[n - 1]?.id ?? 0))),
    ...sorted.flatMap(() => varint(1)),
    ...sorted.flatMap(({ bytes }) => varint(bytes.length)),
    ...sorted.flatMap(({ bytes }) => {
      const at = before
      before += bytes.length
      return varint(at + 1)
    })
  ]))
  const about = gzipSync(JSON.stringify(metadata))
  const header = Buffer.alloc(127)
  header.write('PMTiles')
  header[7] = 3
  const [first, second, third] = [header.length, header.length + directory.length, header.length + directory.length + about.length]
  const numbers = [first, directory.length, second, about.length, third, 0, third, data.length, sorted.length, sorted.length, sorted.length]
  numbers.forEach((value, n) => header.writeBigUInt64LE(BigInt(value), 8 + 8 * n))
  const zooms = sorted.map(({ zoom }) => zoom)
  header.set([1, 2, kind === 'vector' ? 2 : 1, kind === 'vector' ? 1 : 2, Math.min(...zooms), Math.max(...zooms)], 96)
  bounds.forEach((degrees, n) => header.writeInt32LE(Math.round(degrees * 1e7), 102 + 4 * n))
  return Buffer.concat([header, directory, about, data])
}

const field = (number: number, bytes: readonly number[]) => [(number << 3) | 2, ...varint(bytes.length), ...bytes]
const text = (number: number, value: string) => field(number, [...Buffer.from(value)])

function geometry({ shape, parts }: Feature): number[] {
  let cursor: readonly [number, number] = [0, 0]
  const zigzag = (value: number) => varint(value < 0 ? -2 * value - 1 : 2 * value)
  const to = (place: readonly [number, number]) => {
    const step = [...zigzag(place[0] - cursor[0]), ...zigzag(place[1] - cursor[1])]
    cursor = place
    return step
  }
  return parts.flatMap((part) => {
    const [begin, ...rest] = part
    if (!begin) return []
    const moved = [...varint((1 << 3) | 1), ...to(begin)]
    const drawn = rest.length ? [...varint((rest.length << 3) | 2), ...rest.flatMap(to)] : []
    return [...moved, ...drawn, ...(shape === 'area' ? [(1 << 3) | 7] : [])]
  })
}

export function vectorTile(layers: Record<string, readonly Feature[]>): Buffer {
  const all = Object.entries(layers).map(([name, features]) => {
    const [keys, values]: [string[], (string | number)[]] = [[], []]
    const place = <T>(list: T[], value: T) => (list.includes(value) ? list.indexOf(value) : list.push(value) - 1)
    const made = features.map((feature) => {
      const tags = Object.entries(feature.about ?? {}).flatMap(([key, value]) => [...varint(place(keys, key)), ...varint(place(values, value))])
      return field(2, [...(tags.length ? field(2, tags) : []), 3 << 3, ['point', 'line', 'area'].indexOf(feature.shape) + 1, ...field(4, geometry(feature))])
    })
    const told = values.map((value) => {
      if (typeof value === 'string') return field(4, text(1, value))
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(value)
      return field(4, [(3 << 3) | 1, ...bytes])
    })
    return field(3, [15 << 3, 2, ...text(1, name), ...made.flat(), ...keys.flatMap((key) => text(3, key)), ...told.flat(), 5 << 3, ...varint(4096)])
  })
  return Buffer.from(all.flat())
}

/** A picture of one colour, of 256 by 256. */
export function picture(red: number, green: number, blue: number): Buffer {
  const chunk = (kind: string, bytes: Buffer) => {
    const body = Buffer.concat([Buffer.from(kind), bytes])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(bytes.length)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  const size = 256
  const about = Buffer.alloc(13)
  about.writeUInt32BE(size, 0)
  about.writeUInt32BE(size, 4)
  about.set([8, 2], 8)
  const line = Buffer.from([0, ...Array.from({ length: size }, () => [red, green, blue]).flat()])
  const rows = Buffer.concat(Array.from({ length: size }, () => line))
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', about), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))])
}
