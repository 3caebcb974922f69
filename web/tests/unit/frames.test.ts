// Messages of a device: which of them are read, and which of them somebody looks for.
import assert from 'node:assert/strict'
import { afterEach, mock, test } from 'node:test'
import { frames, FRAMES_MAX, ROUNDS_MAX, sought } from '../../src/api/frames'

afterEach(() => mock.restoreAll())

/** What is read of so many messages, from a server that gives them from the oldest on. */
async function read(count: number, behind?: number) {
  mock.method(globalThis, 'fetch', async (address: string) => {
    const asked = new URL(address, 'http://server').searchParams
    const [after, limit] = [Number(asked.get('after') ?? 0), Number(asked.get('limit'))]
    const places = Array.from({ length: Math.max(0, Math.min(limit, count - after)) }, (_, at) => after + at + 1)
    return new Response(places.map((place) => `${JSON.stringify({ place })}\n`).join(''))
  })
  const { frames: found, hasOlder, hasNewer } = await frames('1', 0, 1, behind, new AbortController().signal)
  mock.restoreAll()
  return [found.length, found[0]?.place, found.at(-1)?.place, hasOlder, hasNewer]
}

test('all messages are read where they are few, and the newest where they are not', async () => {
  assert.deepEqual(await read(0), [0, undefined, undefined, false, false])
  assert.deepEqual(await read(5), [5, 1, 5, false, false])
  assert.deepEqual(await read(5, 3), [2, 4, 5, false, false])
  assert.deepEqual(await read(FRAMES_MAX), [FRAMES_MAX, 1, FRAMES_MAX, false, false])
  assert.deepEqual(await read(FRAMES_MAX + 2), [FRAMES_MAX, 3, FRAMES_MAX + 2, true, false])
})

test('where there are more than are gone through, the newest are not said to be there', async () => {
  const end = ROUNDS_MAX * FRAMES_MAX
  assert.deepEqual(await read(end + 1), [FRAMES_MAX, end - FRAMES_MAX + 1, end, true, true])
})

const finds = (wanted: string, hex: string, ...said: string[]) => sought(wanted)(said, hex)

test('a size is that of the whole message, and is no part of its bytes', () => {
  assert.deepEqual([finds('3', '009800'), finds('3 B', '009800'), finds('98', '009800'), finds('30', '009800')], [true, true, false, false])
  assert.equal(finds('98', '00'.repeat(98)), true)
})

test('words are looked for with the spaces between them, whatever their letters are', () => {
  assert.equal(finds('need 36', '00', 'frame', 'need 36 bytes, have 4'), true)
  assert.equal(finds('Need36', '00', 'frame', 'need 36 bytes'), false)
  assert.equal(finds('bad CRC', '00', 'frame', 'bad crc'), true)
  assert.equal(finds('  ', '00', 'frame'), true)
})

test('bytes are looked for by four digits or more, or behind 0x, from the first digit of a byte on', () => {
  assert.deepEqual([finds('00 36', 'aa0036'), finds('0036', 'aa0036'), finds('AA 00 36', 'aa0036'), finds('36 00', 'aa0036')], [true, true, true, false])
  assert.deepEqual([finds('36', 'aa3600'), finds('360', 'aa3600'), finds('0x36', 'aa3600'), finds('0x360', 'aa3600'), finds('0x', 'aa3600')], [false, false, true, true, false])
  // Half a byte further there is one more like it.
  assert.deepEqual([finds('0036', 'a00360'), finds('0036', 'a003600036')], [false, true])
})
