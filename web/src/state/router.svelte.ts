// Where one is. The address holds page, device, period, cursor and filters: a link shows somebody else the same.
import { left } from './left'

export type Page =
  | { name: 'fleet' }
  | { name: 'device'; id: string; tab: string }
  | { name: 'unidentified' }
  | { name: 'sql' }
  | { name: 'system' }
  | { name: 'admin'; section: string }
  | { name: 'settings' }
  | { name: 'share' }
  | { name: 'nothing' }

function parse(path: string): Page {
  const [first = '', second, third] = path.split('/').slice(1).map(decodeURIComponent)
  switch (first) {
    case '':
      return { name: 'fleet' }
    case 'devices':
      return second ? { name: 'device', id: second, tab: third || 'day' } : { name: 'fleet' }
    case 'admin':
      return { name: 'admin', section: second || 'users' }
    case 'unidentified':
    case 'sql':
    case 'system':
    case 'settings':
    case 'share':
      return { name: first }
    default:
      return { name: 'nothing' }
  }
}

class Router {
  page = $state<Page>({ name: 'fleet' })
  query = $state<Record<string, string>>({})
  #path = ''

  constructor() {
    this.#read()
    addEventListener('popstate', () => {
      // What was to be written is of the page that was left.
      clearTimeout(timer)
      pending = undefined
      this.#read()
    })
  }

  #read(): void {
    // Whoever comes back to the page that is left finds it so.
    left.addresses.set(this.page.name, this.#path + this.search)
    this.#path = location.pathname
    this.page = parse(location.pathname)
    this.query = Object.fromEntries(new URLSearchParams(location.search))
  }

  /** Goes to a page, as a step that “back” undoes. */
  go(to: string): void {
    flush()
    if (to === location.pathname + location.search) return
    history.pushState(null, '', to)
    this.#read()
  }

  /** Changes the query, in the place of what was there: `undefined` and the empty text take a name away. */
  set(changes: Record<string, string | undefined>): void {
    const next = { ...this.query }
    for (const [name, value] of Object.entries(changes)) {
      if (value) next[name] = value
      else delete next[name]
    }
    this.query = next
    later(() => history.replaceState(null, '', location.pathname + this.search))
  }

  /** The query as an address has it, with its question mark; also what is not written there yet. */
  get search(): string {
    const text = new URLSearchParams(this.query).toString().replaceAll('%2C', ',').replaceAll('%3A', ':')
    return text ? `?${text}` : ''
  }
}

/** Browsers refuse an address that changes too often, as with a cursor that is dragged. */
const ADDRESS_MS = 150
let timer: ReturnType<typeof setTimeout> | undefined
let pending: (() => void) | undefined
function later(write: () => void): void {
  clearTimeout(timer)
  pending = write
  timer = setTimeout(flush, ADDRESS_MS)
}
/** Writes what waits: “back” leads to what was looked at last. */
function flush(): void {
  clearTimeout(timer)
  pending?.()
  pending = undefined
}

export const router = new Router()

export function devicePath(id: string, tab?: string): string {
  return `/devices/${encodeURIComponent(id)}${tab && tab !== 'day' ? `/${tab}` : ''}`
}

/** Moves the tab where one is into sight, where a row of them is longer than the screen. */
export function inSight(node: HTMLElement, isHere: boolean): { update(isHere: boolean): void } {
  const update = (is: boolean) => {
    if (is) node.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }
  update(isHere)
  return { update }
}

/** Makes a link of this site a step within the page. */
export function link(node: HTMLAnchorElement): { destroy(): void } {
  const click = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return
    event.preventDefault()
    router.go(node.pathname + node.search)
  }
  node.addEventListener('click', click)
  return { destroy: () => node.removeEventListener('click', click) }
}
