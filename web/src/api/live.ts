// The live stream: batches with the newest state of what changed, by WebSocket. A stream that was cut goes on where it was.
import { t } from '../i18n/text'
import { address, ask, Problem, type Schemas } from './client'

export type Batch = Schemas['Told']
export type LiveDevice = Schemas['ToldDevice']
export type Cluster = Schemas['ToldCluster']
export type Counts = Schemas['ToldCounts']
export type DeviceStateName = Schemas['ToldState']

export interface Watched {
  box?: readonly [number, number, number, number]
  zoom?: number
  groups?: string
  devices?: string
  /** With a zoom: devices in these states alone, also in clusters. */
  live?: string
  parameters?: string
}

/** What whoever watches is told. */
export interface Watcher {
  batch(batch: Batch): void
  /** Whether what is shown is live, and if not, why, where the server says so. */
  connected(is: boolean, why?: Problem): void
}

export const notLive = (why: Problem | undefined): string => (why ? t('live.refused', { why: `${why.title}. ${why.detail}` }) : t('live.lost'))

const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 15_000

/** A stream that lives until it is closed. */
export class LiveStream {
  #socket: WebSocket | undefined
  #mark: string | undefined
  #retry = RETRY_MS_MIN
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false

  constructor(
    private watched: Watched,
    private readonly watcher: Watcher
  ) {
    this.#open()
  }

  /** Moves the map; what is in view now comes next. */
  move(box: readonly [number, number, number, number], zoom: number): void {
    this.watched = { ...this.watched, box, zoom }
    // Without the old box there is nothing to go on from.
    this.#mark = undefined
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ box, zoom }))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#socket?.close()
  }

  #open(): void {
    const { box, ...rest } = this.watched
    const query = { ...rest, box: box?.join(','), resume: this.#mark }
    const url = new URL(address('/api/v1/live', { query }), location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    const socket = new WebSocket(url)
    const opened = JSON.stringify([this.watched.box, this.watched.zoom])
    this.#socket = socket
    let wasOpen = false
    socket.onopen = () => {
      wasOpen = true
      this.#retry = RETRY_MS_MIN
      this.watcher.connected(true)
      const { box: now, zoom } = this.watched
      // It may have moved while the connection was made.
      if (now && JSON.stringify([now, zoom]) !== opened) socket.send(JSON.stringify({ box: now, zoom }))
    }
    socket.onmessage = ({ data }) => {
      const told = JSON.parse(String(data)) as Batch | Schemas['Problem']
      if ('code' in told) return
      this.#mark = told.mark ?? undefined
      this.watcher.batch(told)
    }
    socket.onclose = () => {
      if (this.#closed || this.#socket !== socket) return
      this.watcher.connected(false)
      if (!wasOpen) void this.#why(query)
      this.#timer = setTimeout(() => this.#open(), this.#retry * (0.5 + Math.random()))
      this.#retry = Math.min(this.#retry * 2, RETRY_MS_MAX)
    }
  }

  /** A browser does not tell why a WebSocket was refused: who asks the same without one is told. */
  async #why(query: Record<string, unknown>): Promise<void> {
    const request = new AbortController()
    try {
      await ask('get', '/api/v1/live', { query, signal: request.signal })
      request.abort()
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      if (!this.#closed && !error.isNetwork && this.#socket?.readyState !== WebSocket.OPEN) this.watcher.connected(false, error)
    }
  }
}
