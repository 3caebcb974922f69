// Addresses of places: asked for where somebody rests, once, and not where nobody answers.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { addresses, forgetAddresses, Looked, PAUSE_MS, REST_MS } from '../../src/state/address.svelte'

let asked: string[] = []
let answer: () => Response

/** So long passes, and all that was waiting for it is done. */
async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms)
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
}
const found = (text: string, source = '© Test') => () => Response.json({ text, source })
const problem = (status: number) => () => Response.json({ status, code: 'unavailable', title: '', detail: '' }, { status })

beforeEach(() => {
  ;[asked, answer] = [[], found('Hauptstraße 12, Ulm')]
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  mock.method(globalThis, 'fetch', async (address: string, { signal }: RequestInit) => {
    asked.push(address)
    signal?.throwIfAborted()
    return answer()
  })
  forgetAddresses()
  addresses.areThere = true
})
afterEach(() => {
  mock.timers.reset()
  mock.restoreAll()
})

test('a place where somebody rests is asked about once, to ten metres', async () => {
  const looked = new Looked()
  looked.look([9.99161, 48.39842])
  assert.equal(looked.of([9.99161, 48.39842]), undefined)
  await pass(REST_MS)
  assert.deepEqual(asked, ['/api/v1/address?latitude=48.39842&longitude=9.99161'])
  assert.equal(looked.of([9.99163, 48.39838])?.text, 'Hauptstraße 12, Ulm')
  assert.equal(addresses.credit, '© Test')
  // That of another place is not shown there, and one that is known is shown at once.
  assert.equal(looked.of([9.9926, 48.3984]), undefined)
  looked.look(undefined)
  const other = new Looked()
  other.look([9.9916, 48.3984])
  assert.equal(other.of([9.9916, 48.3984])?.source, '© Test')
  await pass(REST_MS)
  assert.equal(asked.length, 1)
})

test('who passes by asks nothing', async () => {
  const looked = new Looked()
  for (let step = 0; step < 10; step += 1) {
    looked.look([10 + step, 48])
    await pass(REST_MS - 1)
  }
  looked.stop()
  await pass(10 * REST_MS)
  assert.deepEqual(asked, [])
})

test('where the server knows nobody to ask, it is not asked', async () => {
  addresses.areThere = false
  const looked = new Looked()
  looked.look([10, 48])
  await pass(REST_MS)
  assert.deepEqual([asked, looked.of([10, 48])], [[], undefined])
})

test('after a failure nobody is asked for a while', async () => {
  const looked = new Looked()
  answer = problem(503)
  looked.look([10, 48])
  await pass(REST_MS)
  assert.equal(looked.of([10, 48]), undefined)
  answer = found('A')
  looked.look([11, 48])
  await pass(REST_MS)
  assert.equal(asked.length, 1)
  await pass(PAUSE_MS)
  looked.look([12, 48])
  await pass(REST_MS)
  assert.equal(looked.of([12, 48])?.text, 'A')
})

test('a place without an address has none, and is not asked about again', async () => {
  answer = found('', 'test')
  const looked = new Looked()
  looked.look([-30, 0])
  await pass(REST_MS)
  assert.equal(looked.of([-30, 0]), undefined)
  looked.look(undefined)
  looked.look([-30, 0])
  await pass(REST_MS)
  assert.deepEqual([asked.length, addresses.credit], [1, ''])
})
