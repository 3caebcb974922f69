// Starts the real server with a folder of its own, a fleet that speaks Wialon IPS to it, and whoever nobody understands.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { preview } from 'vite'

export const PASSWORD = 'a password of tests'
const START_MS = 60_000

/** The server, which is also the fleet that is simulated. */
export const binary = process.env.TEST_SERVER ?? '../target/debug/odograph'

export interface Served {
  /** By what listens there. */
  addresses: Record<string, string>
  data: string
  binary: string
  stop(): Promise<void>
}

/** A server with a folder of its own, and more in its configuration and more listeners, if that is wanted. With none at all it has those of its configuration. */
export async function serve(more = '', protocols: string[] | 'none' = []): Promise<Served> {
  if (!existsSync(binary)) throw new Error(`there is no server at ${binary}: cargo build, or say where by TEST_SERVER`)
  const data = mkdtempSync(join(tmpdir(), 'odograph-web-'))
  const config = join(data, 'odograph.toml')
  writeFileSync(config, '[http]\nlisten = "127.0.0.1:0"\n[log]\nformat = "json"\n' + more)
  const named = protocols === 'none' ? [] : ['wialon', 'auto', ...protocols]
  const listen = named.flatMap((protocol) => ['--listen', `${protocol}=127.0.0.1:0`])
  const args = ['serve', '--data', join(data, 'data'), '--config', config, ...listen]
  const server = spawn(binary, args, { env: { ...process.env, ODOGRAPH_ADMIN_PASSWORD: PASSWORD }, stdio: ['ignore', 'ignore', 'pipe'] })
  const found = await addresses(server)
  return {
    addresses: found,
    data: join(data, 'data'),
    binary,
    stop: async () => {
      await new Promise((resolve) => {
        server.once('exit', resolve)
        server.kill('SIGTERM')
      })
      rmSync(data, { recursive: true, force: true })
    }
  }
}

export default async function setUp(): Promise<() => Promise<void>> {
  const { addresses: { http = '', wialon = '', auto = '' }, stop } = await serve()
  let close = async () => undefined as void
  let site = `http://${http}`
  // A server that was built without the pages, or with those of another folder, serves the API alone: then the pages that were
  // built here are served beside it.
  const page = await fetch(site)
  if (!page.ok || process.env.TEST_PREVIEW) {
    process.env.ODOGRAPH = site
    const pages = await preview({ preview: { port: 0, host: '127.0.0.1' }, logLevel: 'error' })
    site = pages.resolvedUrls?.local[0]?.replace(/\/$/, '') ?? site
    close = () => pages.close()
  }
  process.env.SITE = site
  process.env.WIALON = wialon
  const fleet = await feed(wialon)
  process.env.AUTO = auto
  await say(auto, Buffer.from('is anybody there\r\n'))
  return async () => {
    for (const socket of fleet) socket.destroy()
    await close()
    await stop()
  }
}

function addresses(server: ChildProcess): Promise<Record<string, string>> {
  return new Promise((resolve, reject) => {
    const found: Record<string, string> = {}
    const timer = setTimeout(() => reject(new Error('the server did not start in time')), START_MS)
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    if (!server.stderr) return
    createInterface(server.stderr).on('line', (line) => {
      let said: Record<string, string>
      try {
        said = JSON.parse(line)
      } catch {
        return
      }
      if (said.message === 'listening' && said.transport === 'tcp') found[said.protocol ?? ''] = said.address ?? ''
      if (said.message === 'serving HTTP') found.http = said.address ?? ''
      if (said.message === 'ready') {
        clearTimeout(timer)
        resolve(found)
      }
    })
  })
}

export const TRUCKS = 12
const imei = (truck: number) => `35000000000${String(truck).padStart(4, '0')}`

/** Twelve trucks, each with three hours of a drive, a stop with an open door, and a gap. */
async function feed(address: string): Promise<Socket[]> {
  const now = Math.floor(Date.now() / 60_000) * 60_000
  return Promise.all(Array.from({ length: TRUCKS }, async (_, truck) => {
    const socket = await open(address)
    const send = conversation(socket)
    await send(`#L#2.0;${imei(truck)};NA;`)
    for (let minute = 180; minute >= 0; minute -= 1) {
      const isGap = minute > 60 && minute < 90
      if (!isGap) await send(`#D#${line(now - minute * 60_000, truck, 180 - minute)}`)
    }
    answer(socket)
    return socket
  }))
}

function line(time: number, truck: number, minute: number): string {
  const isStop = minute >= 30 && minute < 60
  const km = minute < 30 ? minute : minute < 60 ? 30 : minute - 30
  const [latitude, longitude] = [47.5 + truck * 0.35 + km * 0.008, 8 + truck * 0.4 + km * 0.011]
  const iso = new Date(time).toISOString()
  const date = `${iso.slice(8, 10)}${iso.slice(5, 7)}${iso.slice(2, 4)};${iso.slice(11, 19).replaceAll(':', '')}`
  const degrees = (value: number, digits: number) => `${String(Math.floor(value)).padStart(digits, '0')}${((value % 1) * 60).toFixed(4).padStart(7, '0')}`
  const temperature = (-20 + Math.sin(minute / 9) + (isStop ? 4 : 0)).toFixed(1)
  const alarm = truck === 3 && minute > 175 ? ',SOS:1:1' : ''
  const parameters = `temp1:2:${temperature},temp2:2:${(Number(temperature) + 1).toFixed(1)},door:1:${isStop && minute < 45 ? 1 : 0},fuel:2:${300 - minute}${alarm}`
  return `${date};${degrees(latitude, 2)};N;${degrees(longitude, 3)};E;${isStop ? 0 : 76};54;400;11;0.9;1;0;;NA;${parameters};`
}

/** The second of the latest drive, by what a truck calls itself. */
const driven = new Map<string, number>()
const second = () => Math.floor(Date.now() / 1000)

/** A truck is somewhere else now: as many kilometres on as it would be that many minutes after its drive began. */
export async function drive(truck: number, minute: number, to: Sender = {}): Promise<void> {
  const { name = imei(truck) } = to
  // Times are sent to the second, and of two records of the same second none is the newer one.
  while (second() <= (driven.get(name) ?? 0)) await new Promise((resolve) => setTimeout(resolve, 50))
  const time = Date.now()
  driven.set(name, Math.floor(time / 1000))
  await backlog(truck, [{ time, minute }], to)
}

/** Another server than the tests' own, and what the truck calls itself there. */
interface Sender {
  address?: string
  name?: string
}

/** A truck sends what it had kept: records of these times, of as many minutes after its drive began. */
export async function backlog(truck: number, kept: { time: number; minute: number }[], { address = process.env.WIALON ?? '', name = imei(truck) }: Sender = {}): Promise<void> {
  const socket = await open(address)
  const send = conversation(socket)
  await send(`#L#2.0;${name};NA;`)
  for (const { time, minute } of kept) await send(`#D#${line(time, truck, minute)}`)
  socket.destroy()
}

/** A truck calls, and answers texts to its driver, until it hangs up. */
export async function call(truck: number): Promise<Socket> {
  const socket = await open(process.env.WIALON ?? '')
  await conversation(socket)(`#L#2.0;${imei(truck)};NA;`)
  answer(socket)
  return socket
}

/** From now on a text to the driver is answered by one, as trackers do. */
function answer(socket: Socket): void {
  socket.on('data', (bytes: Buffer) => {
    for (const [, text = ''] of bytes.toString().matchAll(/^#M#(.*);[0-9A-F]{4}\r$/gm)) {
      const said = `${[...text].length} letters read;`
      socket.write(`#M#${said}${checksum(said)}\r\n`)
    }
  })
}

/** Wialon's checksum: CRC-16 of what lies between the kind and the sum. */
function checksum(text: string): string {
  let sum = 0
  for (const byte of Buffer.from(text)) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >> 1) ^ 0xa001 : sum >> 1
  }
  return sum.toString(16).toUpperCase().padStart(4, '0')
}

/** Sends messages, each when the one before was acknowledged. */
function conversation(socket: Socket): (text: string) => Promise<void> {
  return async (text) => {
    socket.write(`${text}${checksum(text.replace(/^#\w+#/, ''))}\r\n`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    if (!/^#A\w+#1/.test(answer.toString())) throw new Error(`${text} was answered by ${answer}`)
  }
}

export function open(address: string): Promise<Socket> {
  const [host = '', port = ''] = address.split(/:(?=\d+$)/)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Says something to the port of all protocols, and goes. */
export function knock(bytes: string): Promise<void> {
  return say(process.env.AUTO ?? '', Buffer.from(bytes))
}

async function say(address: string, bytes: Buffer): Promise<void> {
  const socket = await open(address)
  await new Promise((resolve) => socket.end(bytes, () => resolve(undefined)))
}
