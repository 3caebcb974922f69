// Asking again and again: while the tab is seen, one after another, until it is over.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { again } from '../../src/state/again'

const EVERY_MS = 5000
const page = document as unknown as { hidden: boolean }
/** Everything that was answered is taken in. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('it is asked again when it is time, while somebody looks, until it is over', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  let asked = 0
  let answer: () => void = () => undefined
  const end = again(() => new Promise<void>((resolve) => ((asked += 1), (answer = resolve))), EVERY_MS)
  mock.timers.tick(EVERY_MS - 1)
  assert.equal(asked, 0)
  mock.timers.tick(1)
  assert.equal(asked, 1)
  // Nobody asks while somebody answers.
  mock.timers.tick(10 * EVERY_MS)
  assert.equal(asked, 1)
  answer()
  await settled()
  page.hidden = true
  mock.timers.tick(2 * EVERY_MS)
  await settled()
  assert.equal(asked, 1, 'nobody looks')
  page.hidden = false
  mock.timers.tick(2 * EVERY_MS)
  await settled()
  assert.equal(asked, 2)
  end()
  answer()
  await settled()
  mock.timers.tick(10 * EVERY_MS)
  assert.equal(asked, 2, 'it is over')
  mock.timers.reset()
})
