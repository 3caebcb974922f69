// What is asked for before the larger scripts are here: who takes it, and who does not.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { address } from '../../src/api/client'
import { Early, FIRST_DEVICES } from '../../src/api/early'

const [SESSION, GROUPS] = ['/api/v1/sessions/current', '/api/v1/groups']
let asked: string[] = []
let now = 0
let answer = async () => Response.json({})

beforeEach(() => {
  ;[asked, now] = [[], 0]
  answer = async () => Response.json({})
  mock.method(performance, 'now', () => now)
  mock.method(globalThis, 'fetch', (to: string) => {
    asked.push(to)
    return answer()
  })
})
afterEach(() => mock.restoreAll())
const settled = () => new Promise((done) => setImmediate(done))

test('a fleet asks for the first devices as the list does, and each answer is taken once', async () => {
  const early = new Early('/')
  await settled()
  assert.deepEqual(asked, [SESSION, GROUPS, address('/api/v1/devices', { query: FIRST_DEVICES })])
  for (const one of asked) {
    assert.equal((await early.take(one))?.ok, true)
    assert.equal(early.take(one), undefined)
  }
})

test('nothing is kept for whoever signs in next, nor for long', async () => {
  const early = new Early('/')
  early.forget()
  assert.equal(early.take(GROUPS), undefined)
  const other = new Early('/')
  now = 10_000
  assert.equal(other.take(GROUPS), undefined)
})

test('for nobody, and on other pages, no devices are asked for', async () => {
  answer = async () => Response.json({}, { status: 401 })
  const early = new Early('/')
  await settled()
  assert.deepEqual(asked, [SESSION])
  assert.equal((await early.take(SESSION))?.status, 401)
  assert.equal(await early.take(GROUPS), undefined)
  for (const [path, all] of [['/devices/1', [SESSION]], ['/share', []], ['/share/1', []]] as const) {
    asked = []
    new Early(path)
    await settled()
    assert.deepEqual(asked, all, path)
  }
})

test('without a network only the session says so: what else is wanted is asked for again', async () => {
  answer = async () => Promise.reject(new TypeError('no network'))
  const early = new Early('/')
  await assert.rejects(async () => early.take(SESSION))
  assert.equal(await early.take(GROUPS), undefined)
})
