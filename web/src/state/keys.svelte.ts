// The keyboard: what is open, and which keys do what wherever one is.

export const overlay = $state<{ open: 'none' | 'help' | 'palette' }>({ open: 'none' })

/** Whether somebody types: then letters are letters. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

type Handler = (event: KeyboardEvent) => void
const handlers = new Map<string, Handler[]>()

/** Listens for a key, as `event.key` names it, until what is given back is called. The latest listener gets it. */
export function onKey(key: string, handler: Handler): () => void {
  handlers.set(key, [...(handlers.get(key) ?? []), handler])
  return () => handlers.set(key, (handlers.get(key) ?? []).filter((other) => other !== handler))
}

/** Whether keys are held that make a command of a letter. Some keyboards write `[` only with AltGr, which Windows tells as Ctrl and Alt, and Macs with Alt. */
function isCommand(event: KeyboardEvent): boolean {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) return false
  if (event.getModifierState('AltGraph')) return false
  return event.ctrlKey || event.metaKey || (event.altKey && !/^[^\w\s]$/.test(event.key))
}

addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.getModifierState('AltGraph') && event.key.toLowerCase() === 'k') {
    event.preventDefault()
    overlay.open = overlay.open === 'palette' ? 'none' : 'palette'
    return
  }
  if (event.key === 'Escape' && overlay.open !== 'none') {
    overlay.open = 'none'
    return
  }
  // What the map or a list has used already is nobody else's.
  if (event.defaultPrevented || isTyping(event) || isCommand(event) || overlay.open !== 'none') return
  if (event.key === '?') {
    event.preventDefault()
    overlay.open = 'help'
    return
  }
  // Where a page has no search of its own, everything is searched.
  if (event.key === '/' && !handlers.get('/')?.length) {
    event.preventDefault()
    overlay.open = 'palette'
    return
  }
  // A button that has the focus takes the space bar itself.
  const isOwn = event.key === ' ' && event.target instanceof HTMLElement && event.target.closest('button, a, summary')
  const handler = handlers.get(event.key)?.at(-1)
  if (handler && !isOwn) {
    event.preventDefault()
    handler(event)
  }
})
