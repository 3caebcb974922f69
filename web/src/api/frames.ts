// What came from a device and went to it, byte for byte, and what it says.
import { api, ask, lines, type Schemas } from './client'

export type Frame = Schemas['Frame']
export type Decoded = Schemas['Decoded']
export type Field = Schemas['DecodedField']

/** At most so many are shown at once. */
export const FRAMES_MAX = 3000

export interface Found {
  frames: Frame[]
  /** Whether there are older ones of this time. */
  hasOlder: boolean
  /** Whether there may be newer ones of it: not all were gone through. */
  hasNewer: boolean
}

/** The newest frames of a time, oldest first. The server gives them from the oldest on, so the older ones are read and dropped. */
export async function frames(device: string, from: number, to: number, after: number | undefined, signal: AbortSignal): Promise<Found> {
  let all: Frame[] = []
  let last = after
  let hasOlder = false
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const response = await ask('get', '/api/v1/devices/{id}/frames', {
      path: { id: device }, query: { from, to, after: last, limit: FRAMES_MAX }, signal
    })
    let count = 0
    for await (const frame of lines<Frame>(response)) {
      all.push(frame)
      count += 1
    }
    last = all.at(-1)?.place
    hasOlder ||= all.length > FRAMES_MAX
    all = all.slice(-FRAMES_MAX)
    if (count < FRAMES_MAX) return { frames: all, hasOlder, hasNewer: false }
  }
  return { frames: all, hasOlder, hasNewer: true }
}
export const ROUNDS_MAX = 20

/** So many hex digits are bytes by themselves; fewer could be a size or a word. */
const HEX_MIN = 4

/** What tells of a message whether it is one that somebody looks for: by its size, by what is said of it, or by bytes within it. */
export function sought(wanted: string): (said: readonly string[], hex: string) => boolean {
  const text = wanted.trim().toLowerCase()
  const [, size] = /^(\d+)(?: ?b)?$/.exec(text) ?? []
  const digits = text.replace(/\b0x|\s/g, '')
  const isHex = /^[0-9a-f]+$/.test(digits) && (digits.length >= HEX_MIN || text.startsWith('0x'))
  return (said, hex) =>
    !text || Number(size) === hex.length / 2 || said.some((one) => one.toLowerCase().includes(text)) || (isHex && holds(hex, digits))
}

/** Whether digits are among others from the first one of a byte on. */
function holds(hex: string, digits: string): boolean {
  let at = hex.indexOf(digits)
  while (at % 2 === 1) at = hex.indexOf(digits, at + 1)
  return at >= 0
}

/** What messages of one conversation say. */
export function decode(messages: string[], how: Pick<Schemas['Decode'], 'protocol' | 'device' | 'settings' | 'trace'>): Promise<Decoded[]> {
  return api.post('/api/v1/decode', { body: { ...how, messages } })
}

export function bytesOf(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2)
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16)
  return bytes
}

const PRINTABLE_SHARE = 0.85
/** Whether a message is rather text than numbers. */
export function isText(bytes: Uint8Array): boolean {
  const printable = bytes.filter((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0d || byte === 0x0a).length
  return bytes.length > 0 && printable / bytes.length >= PRINTABLE_SHARE
}

/** A byte as text, with C escapes. */
export function escaped(byte: number): string {
  const known: Record<number, string> = { 0x0a: '\\n', 0x0d: '\\r', 0x09: '\\t', 0x22: '\\"', 0x5c: '\\\\' }
  return known[byte] ?? (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`)
}

/** A message and what it says, as a test of its protocol is written. */
export function vector(messages: readonly string[], decoded: Decoded): string {
  const written = (hex: string) => {
    const bytes = bytesOf(hex)
    return isText(bytes) ? `"${[...bytes].map(escaped).join('')}"` : hex
  }
  const [last = '', ...before] = [...messages].reverse()
  const records = decoded.records.map(({ device: _device, protocol: _protocol, ...rest }) => `= ${JSON.stringify(rest)}`)
  return [
    ...before.reverse().map((hex) => `> ${written(hex)}`), `> ${written(last)}`,
    ...(before.length === 0 && decoded.identity ? [`i ${decoded.identity}`] : []),
    ...records, ...decoded.replies.map((hex) => `< ${written(hex)}`), ''
  ].join('\n')
}
