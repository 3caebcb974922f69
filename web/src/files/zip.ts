// An archive of a few files, which the browser itself compresses: one after the other, as its parts come.

interface Entry {
  name: Uint8Array
  checksum: number
  packed: number
  plain: number
  at: number
}

/** Larger ones need another form of archive. */
const BYTES_MAX = 0xffff_ffff
const VERSION = 20
const UTF8_NAMES = 0x0800
const DEFLATE = 8
/** 1 January 1980: an archive of the same contents is the same archive. */
const DOS_DATE = 0x0021

export class Archive {
  #parts: Uint8Array<ArrayBuffer>[] = []
  #entries: Entry[] = []
  #length = 0

  async add(name: string, text: Iterable<string>): Promise<void> {
    const packer = new CompressionStream('deflate-raw')
    const packed: Uint8Array<ArrayBuffer>[] = []
    const reading = drain(packer.readable, packed)
    const writer = packer.writable.getWriter()
    const encoder = new TextEncoder()
    let [checksum, plain] = [0, 0]
    for (const piece of text) {
      const bytes = encoder.encode(piece)
      checksum = crc32(bytes, checksum)
      plain += bytes.length
      await writer.write(bytes)
    }
    await writer.close()
    await reading
    const length = packed.reduce((sum, part) => sum + part.length, 0)
    const entry = { name: encoder.encode(name), checksum, packed: length, plain, at: this.#length }
    if (plain > BYTES_MAX || this.#length + length > BYTES_MAX) throw new RangeError(`${name} makes the archive larger than 4 GiB`)
    this.#entries.push(entry)
    this.#push(fields([[4, 0x0403_4b50], [2, VERSION], ...common(entry), [2, 0]]), entry.name, ...packed)
  }

  /** The whole archive, with its table of contents. */
  blob(type: string): Blob {
    const begin = this.#length
    for (const entry of this.#entries) {
      this.#push(fields([[4, 0x0201_4b50], [2, VERSION], [2, VERSION], ...common(entry), [2, 0], [2, 0], [2, 0], [2, 0], [4, 0], [4, entry.at]]), entry.name)
    }
    const count = this.#entries.length
    this.#push(fields([[4, 0x0605_4b50], [2, 0], [2, 0], [2, count], [2, count], [4, this.#length - begin], [4, begin], [2, 0]]))
    return new Blob(this.#parts, { type })
  }

  #push(...parts: Uint8Array<ArrayBufferLike>[]): void {
    for (const part of parts) {
      this.#parts.push(part as Uint8Array<ArrayBuffer>)
      this.#length += part.length
    }
  }
}

type Fields = [bytes: 2 | 4, value: number][]

/** What a file's own heading and the table of contents both say of it. */
function common({ name, checksum, packed, plain }: Entry): Fields {
  return [[2, UTF8_NAMES], [2, DEFLATE], [2, 0], [2, DOS_DATE], [4, checksum], [4, packed], [4, plain], [2, name.length]]
}

function fields(those: Fields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(those.reduce((sum, [width]) => sum + width, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [width, value] of those) {
    if (width === 2) view.setUint16(at, value, true)
    else view.setUint32(at, value, true)
    at += width
  }
  return bytes
}

async function drain(from: ReadableStream<Uint8Array<ArrayBuffer>>, into: Uint8Array<ArrayBuffer>[]): Promise<void> {
  const reader = from.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    into.push(value)
  }
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte
  for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb8_8320 : sum >>> 1
  return sum
})

export function crc32(bytes: Uint8Array, before = 0): number {
  let sum = ~before
  for (const byte of bytes) sum = (sum >>> 8) ^ (table[(sum ^ byte) & 0xff] ?? 0)
  return ~sum >>> 0
}
