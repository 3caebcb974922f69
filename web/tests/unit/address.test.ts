// Addresses of places: asked for where somebody rests, once, and not where nobody answers.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { addresses, AGAIN_MS, forgetAddresses, Looked, PAUSE_MS, REST_MS } from '../../src/state/address.svelte'

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

test('whoever goes on looking has it asked for again, once a minute at most, and no longer when they leave', async () => {
  answer = problem(503)
  const [header, footer] = [new Looked(), new Looked()]
  header.look([10, 48])
  footer.look([11, 48])
  await pass(REST_MS)
  assert.equal(asked.length, 2, 'both were on their way')
  await pass(AGAIN_MS - 1)
  assert.equal(asked.length, 2)
  await pass(1)
  assert.deepEqual(asked.slice(2), ['/api/v1/address?latitude=48&longitude=10'])
  for (let minute = 1; minute <= 10; minute += 1) {
    await pass(AGAIN_MS)
    assert.ok(asked.length <= 3 + minute, `${asked.length} in ${minute} minutes`)
  }
  assert.ok(asked.length > 8, String(asked.length))
  answer = found('A')
  await pass(AGAIN_MS)
  await pass(AGAIN_MS)
  await pass(AGAIN_MS)
  assert.deepEqual([header.of([10, 48])?.text, footer.of([11, 48])?.text], ['A', 'A'])
  const total = asked.length
  await pass(10 * AGAIN_MS)
  assert.equal(asked.length, total, 'what is known is not asked for')

  answer = problem(503)
  header.look([12, 48])
  await pass(REST_MS)
  header.stop()
  footer.look([13, 48])
  footer.look(undefined)
  await pass(10 * AGAIN_MS)
  assert.equal(asked.length, total + 1)
})

test('who came while nobody is asked is answered later, and a hidden tab asks nothing', async () => {
  answer = problem(503)
  const looked = new Looked()
  looked.look([10, 48])
  await pass(REST_MS)
  answer = found('A')
  looked.look([11, 48])
  await pass(REST_MS)
  assert.equal(asked.length, 1)
  Object.assign(document, { hidden: true })
  await pass(3 * AGAIN_MS)
  assert.equal(asked.length, 1)
  Object.assign(document, { hidden: false })
  await pass(AGAIN_MS)
  assert.equal(looked.of([11, 48])?.text, 'A')
})

test('a server that knows nobody to ask is not asked again', async () => {
  answer = problem(404)
  const looked = new Looked()
  looked.look([10, 48])
  await pass(REST_MS)
  await pass(5 * AGAIN_MS)
  assert.equal(asked.length, 1)
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
