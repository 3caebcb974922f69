// What whoever looks waits for, and what it costs: a large fleet on the map, and a device with a year of data. In headless Chromium.
//
//   node measure/eyes.mjs fleet SERVER [DEVICES]        100000, by UDP from `odograph simulate`
//   node measure/eyes.mjs budgets SERVER [DEVICES]      5000 of them: the first view, panning beside the bare map, memory over many updates
//   node measure/eyes.mjs year SERVER MONTH [RECORDS]   3153600 of one truck, one each 10 s, by the tool of docs/internals/measuring.md
//
// A server of its own, in a folder of its own, on loopback. TEST_CHROMIUM names another browser. Drawing is by software, as in the tests.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { chromium } from '@playwright/test'

const PASSWORD = 'a password of measuring'
const START_MS = 120_000
const PATIENCE_MS = 900_000
const ROUNDS = 5
const PAN_MS = 4000
const REST_MS = 4000
const MINUTES = 3

const [what, ...given] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'odograph-eyes-'))
const children = []

function run(program, args, options = {}) {
  const child = spawn(resolve(program), args, { stdio: ['ignore', 'ignore', 'pipe'], ...options })
  children.push(child)
  return child
}

async function serve(program, ...listen) {
  const args = ['serve', '--data', join(folder, 'data'), ...listen.flatMap((name) => ['--listen', name])]
  const settings = { ODOGRAPH_ADMIN_PASSWORD: PASSWORD, ODOGRAPH_HTTP__LISTEN: '127.0.0.1:0', ODOGRAPH_LOG__FORMAT: 'json', ODOGRAPH_INGEST__DEFAULT_PORTS: 'false', ODOGRAPH_LAKE__LATE_FLUSH_AFTER: '20 s' }
  const child = run(program, args, { env: { ...process.env, ...settings } })
  const found = { pid: child.pid }
  await new Promise((ready, fell) => {
    const timer = setTimeout(() => fell(new Error('the server did not start in time')), START_MS)
    child.once('exit', (code) => fell(new Error(`the server ended with ${code}`)))
    createInterface(child.stderr).on('line', (line) => {
      const said = JSON.parse(line)
      if (said.message === 'listening') found[said.transport] = said.address
      if (said.message === 'serving HTTP') found.http = said.address
      if (said.message === 'ready') ready(clearTimeout(timer))
    })
  })
  child.removeAllListeners('exit')
  return found
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms))
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
/** Memory of a process that is its own. */
const own = (pid) => 1024 * Number(/^Pss_Anon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0)

/** The largest of the browser's processes that have pages: the tab. */
function tab() {
  const parents = new Map()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      parents.set(Number(pid), Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]))
    } catch {
      // It has just ended.
    }
  }
  const isOurs = (pid) => pid === process.pid || (parents.has(pid) && isOurs(parents.get(pid)))
  const sizes = [...parents.keys()].filter(isOurs).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer') ? own(pid) : 0
    } catch {
      return 0
    }
  })
  return Math.max(0, ...sizes)
}

async function open(site) {
  const args = ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-background-networking']
  const browser = await chromium.launch({ executablePath: process.env.TEST_CHROMIUM ?? '/usr/bin/chromium', args })
  const context = await fresh(browser, site)
  const page = await context.newPage()
  await page.addInitScript(() => {
    globalThis.held = []
    new PerformanceObserver((list) => globalThis.held.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask', buffered: true })
  })
  const devtools = await context.newCDPSession(page)
  await devtools.send('Network.enable')
  const seen = { bytes: 0, requests: 0, updates: 0, live: 0 }
  devtools.on('Network.loadingFinished', ({ encodedDataLength }) => {
    seen.bytes += encodedDataLength
    seen.requests += 1
  })
  devtools.on('Network.webSocketFrameReceived', ({ response: { payloadData } }) => {
    seen.live += payloadData.length
    seen.updates += payloadData.split('"device":"').length - 1
  })
  return { browser, context, page, devtools, seen }
}

/** Tasks that held the page for over 50 ms since it was asked last. */
async function held(page) {
  const all = await page.evaluate(() => globalThis.held.splice(0))
  return `${all.length} tasks over 50 ms, together ${(all.reduce((sum, ms) => sum + ms, 0) / 1000).toFixed(1)} s, the longest ${Math.round(Math.max(0, ...all))} ms`
}

/** How long until the page shows it. */
async function shown(page, go, see) {
  const begun = performance.now()
  await go()
  await see()
  return performance.now() - begun
}

const times = (all) => `${all.map((ms) => Math.round(ms)).join(' ')} ms`

/** A simulated fleet by UDP, once the server knows all of it. */
async function drive(program, server, context, site, devices) {
  const target = server.udp ?? server.tcp
  const sending = run(program, ['simulate', '--devices', devices, '--udp', '--target', target, '--json', '--interval', '10', '--standing-interval', '60'])
  let said = ''
  sending.stderr.on('data', (text) => (said = (said + text).slice(-500)))
  const begun = performance.now()
  for (;;) {
    const counts = await (await context.request.get(`${site}/api/v1/live/counts`)).json()
    const there = Object.values(counts).reduce((sum, one) => sum + (Number(one) || 0), 0)
    // Some stand where there is no network, and say nothing for hours.
    if (there >= Number(devices) * 0.999) break
    if (sending.exitCode !== null) throw new Error(`the fleet does not drive: ${said}`)
    if (performance.now() - begun > PATIENCE_MS) throw new Error(`only ${there} devices are in state`)
    await pause(1000)
  }
  console.log(`${devices} devices in state after ${((performance.now() - begun) / 1000).toFixed(0)} s; the server has ${mib(own(server.pid))}`)
}

/** A browser's window of somebody who was never here. */
async function fresh(browser, site) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: 'Europe/Berlin' })
  const answer = await signIn(context, site)
  if (answer.status() !== 201) throw new Error(`signing in was answered ${answer.status()}`)
  return context
}

const signIn = (context, site) => context.request.post(`${site}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })

/** Frames a second while the map is dragged to and fro. */
async function panned(page) {
  const box = await page.locator('.maplibregl-canvas').boundingBox()
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  await page.evaluate(() => {
    globalThis.frames = 0
    const count = () => {
      globalThis.frames += 1
      requestAnimationFrame(count)
    }
    requestAnimationFrame(count)
  })
  await page.mouse.move(x, y)
  await page.mouse.down()
  const [begun, before] = [performance.now(), await page.evaluate(() => globalThis.frames)]
  for (let step = 0; performance.now() - begun < PAN_MS; step += 1) await page.mouse.move(x + 200 * Math.sin(step / 10), y + 100 * Math.cos(step / 10))
  const frames = (await page.evaluate(() => globalThis.frames)) - before
  await page.mouse.up()
  return frames / ((performance.now() - begun) / 1000)
}

/** Runs in a page: when, from the beginning of the navigation, it showed what. */
function firstView() {
  const first = (globalThis.first = { context: 0 })
  const { getContext } = HTMLCanvasElement.prototype
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    const begun = performance.now()
    const context = getContext.call(this, kind, ...rest)
    if (kind.startsWith('webgl')) first.context += performance.now() - begun
    return context
  }
  const look = () => {
    if (document.querySelector('[role=listbox] [role=option]')) first.row ??= performance.now()
    if (document.querySelector('.maplibregl-canvas')) first.map ??= performance.now()
  }
  new MutationObserver(look).observe(document, { childList: true, subtree: true })
}

async function budgets(program, devices = '5000') {
  const server = await serve(program, 'auto=127.0.0.1:0')
  const site = `http://${server.http}`
  const { browser, context, page, devtools, seen } = await open(site)
  await drive(program, server, context, site, devices)
  const views = { cold: [], warm: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    const empty = await fresh(browser, site)
    // Whoever comes again has the files, and no page of before that is still at work.
    for (const all of Object.values(views)) {
      const view = await empty.newPage()
      await view.addInitScript(firstView)
      await view.goto(site)
      await view.waitForFunction(() => globalThis.first.row && globalThis.first.map)
      await pause(REST_MS)
      all.push(await view.evaluate(() => globalThis.first))
      await view.close()
    }
    await empty.close()
  }
  for (const [name, all] of Object.entries(views)) {
    const of = (part) => times(all.map((first) => first[part]))
    console.log(`the first view, ${name}: first device in the list ${of('row')}; map ${of('map')}, of it until the browser gave it something to draw on ${of('context')}`)
  }
  const rates = { 'with the fleet': [], bare: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, all] of Object.entries(rates)) {
      const empty = await fresh(browser, site)
      const map = await empty.newPage()
      // Without a word of where anybody is, the library draws the ground alone.
      if (name === 'bare') await map.routeWebSocket(/live/, () => undefined)
      await map.goto(`${site}/?at=10,50,4`)
      await map.locator('.maplibregl-canvas').waitFor()
      await pause(4000)
      all.push(await panned(map))
      await empty.close()
    }
  }
  for (const [name, all] of Object.entries(rates)) console.log(`dragging the map, ${name}: ${all.map((rate) => rate.toFixed(0)).join(' ')} frames/s`)
  await page.goto(site)
  const heaps = []
  for (let minute = 0; minute <= MINUTES; minute += 1) {
    await pause(minute ? 60_000 : 20_000)
    await devtools.send('HeapProfiler.collectGarbage')
    const { usedSize } = await devtools.send('Runtime.getHeapUsage')
    heaps.push(`${(usedSize / 2 ** 20).toFixed(1)}`)
  }
  console.log(`scripts' memory from minute to minute, ${seen.updates} updates: ${heaps.join(' ')} MiB; tab ${mib(tab())}`)
  await browser.close()
}

async function fleet(program, devices = '100000') {
  const server = await serve(program, 'auto=127.0.0.1:0')
  const site = `http://${server.http}`
  const { browser, context, page, devtools, seen } = await open(site)
  await drive(program, server, context, site, devices)
  const row = page.getByRole('listbox', { name: 'Devices' }).getByRole('option').first()
  const loads = []
  for (let round = 0; round < ROUNDS; round += 1) {
    Object.assign(seen, { bytes: 0, requests: 0, live: 0 })
    if (round === 0) await devtools.send('Network.clearBrowserCache')
    loads.push(await shown(page, () => page.goto(site), () => row.waitFor()))
    if (round === 0) {
      await page.locator('.maplibregl-canvas').waitFor()
      await pause(10_000)
      console.log(`first load: ${seen.requests} requests, ${(seen.bytes / 1024).toFixed(0)} KiB, and ${(seen.live / 1024).toFixed(0)} KiB live by then`)
      console.log(`  until it was quiet: ${await held(page)}`)
    }
  }
  console.log(`until the first device stands in the list, the first time and again: ${times(loads)}`)
  await pause(20_000)
  await held(page)
  Object.assign(seen, { updates: 0, live: 0 })
  await pause(20_000)
  console.log(`20 s without a hand: ${(seen.updates / 20).toFixed(0)} updates/s, ${(seen.live / 20 / 1024).toFixed(0)} KiB/s; ${await held(page)}`)
  const list = page.getByRole('listbox', { name: 'Devices' })
  await list.hover()
  for (let step = 0; step < 50; step += 1) {
    await page.mouse.wheel(0, 600)
    await pause(100)
  }
  console.log(`5 s of scrolling the list: ${await held(page)}`)
  await page.locator('.maplibregl-canvas').hover()
  for (let step = 0; step < 30; step += 1) {
    await page.mouse.wheel(0, step < 20 ? -300 : 300)
    await pause(200)
  }
  await pause(2000)
  console.log(`8 s of zooming the map: ${await held(page)}`)
  const typed = await shown(page, async () => {
    await page.keyboard.press('/')
    await page.keyboard.type('0042')
  }, () => list.getByRole('option').first().filter({ hasText: '0042' }).waitFor())
  console.log(`a search of four digits: ${Math.round(typed)} ms; ${await held(page)}`)
  const { metrics } = await devtools.send('Performance.getMetrics').catch(() => ({ metrics: [] }))
  const heap = metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? (await page.evaluate(() => performance.memory?.usedJSHeapSize ?? 0))
  console.log(`memory in the end: tab ${mib(tab())}, of it scripts ${mib(heap)}; server ${mib(own(server.pid))}`)
  await browser.close()
}

async function year(program, month, records = '3153600') {
  const server = await serve(program, 'teltonika=127.0.0.1:0')
  const sent = spawnSync(resolve(month), ['--target', server.tcp, '--devices', '1', '--days', '365', '--records', records, '--sockets', '1'], { encoding: 'utf8' })
  if (sent.status !== 0) throw new Error(sent.stderr.slice(-500))
  const site = `http://${server.http}`
  const { browser, context, page } = await open(site)
  const begun = performance.now()
  const at = async (name) => {
    const text = await (await context.request.get(`${site}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? NaN)
  }
  while ((await at('odograph_pipeline_lag_bytes')) > 65_536 || (await at('odograph_pipeline_uncommitted_bytes')) > 65_536) {
    if (performance.now() - begun > PATIENCE_MS) throw new Error('history takes too long')
    await pause(1000)
  }
  console.log(`${records} records of one device are in files; the server has ${mib(own(server.pid))}`)
  const device = `${site}/devices/350000000000000`
  const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10)
  const chart = () => page.locator('.u-over').first().waitFor()
  const slider = page.getByRole('slider', { name: 'Time cursor' })
  /** All of a period is drawn: nothing is read any more, and the cursor, which stands at the last record, is in the last day. */
  const whole = async (last) => {
    await page.locator('.day[aria-busy="false"] .u-over').first().waitFor({ timeout: 120_000 })
    const at = Number(await slider.getAttribute('aria-valuenow'))
    if (at < Date.parse(last)) throw new Error(`what was to be drawn up to ${last} ends at ${new Date(at).toISOString()}`)
  }
  for (const [name, query] of [
    ['opening its page (today, which is empty)', () => ''],
    ['a day', (round) => `?day=${day(30 + round)}`],
    ['a week', (round) => `?from=${day(100 + 7 * round)}&to=${day(94 + 7 * round)}`],
    ["a month's chart", (round) => `?from=${day(150 + 31 * round)}&to=${day(120 + 31 * round)}`]
  ]) {
    const all = []
    for (let round = 0; round < ROUNDS; round += 1) {
      await page.goto('about:blank')
      const last = /(?:day|to)=([\d-]+)/.exec(query(round))?.[1]
      const see = () => (last ? whole(last) : page.getByRole('heading', { name: '350000000000000' }).waitFor())
      all.push(await shown(page, () => page.goto(device + query(round)), see))
    }
    console.log(`${name}: ${times(all)}; ${await held(page)}`)
  }
  await page.goto(`${device}?day=${day(30)}`)
  await chart()
  await pause(3000)
  await held(page)
  const was = Number(await slider.getAttribute('aria-valuenow'))
  await page.keyboard.press('Home').catch(() => undefined)
  await page.getByRole('button', { name: /^Play/ }).click()
  await pause(10_000)
  const now = Number(await slider.getAttribute('aria-valuenow'))
  console.log(`10 s of playing a day: the cursor went from ${was} to ${now}; ${await held(page)}`)
  console.log(`the server has ${mib(own(server.pid))} in the end`)
  await browser.close()
}

const ways = { budgets, fleet, year }
// What was started here ends with us, whatever ends us.
process.on('SIGTERM', () => process.exit(143))
process.on('exit', () => children.filter(({ exitCode }) => exitCode === null).forEach((child) => child.kill('SIGKILL')))
try {
  if (!ways[what] || !given.length) throw new Error('say `fleet SERVER`, `budgets SERVER` or `year SERVER MONTH`: the first lines of this file tell more')
  await ways[what](...given)
} catch (error) {
  console.error(`error: ${error.message}`)
  process.exitCode = 1
} finally {
  for (const child of children) child.kill('SIGKILL')
  await pause(500)
  rmSync(folder, { recursive: true, force: true })
}
