// How pages were left, for whoever comes back to them in this tab: their addresses, how far down their list was, what was typed.

/** How far a list was scrolled, and its row. */
export interface ListPlace {
  top: number
  active: string | undefined
}

interface Left {
  /** By the page's name: its path and its query. */
  addresses: Map<string, string>
  fleet: ListPlace
  /** A question that is being written, and the one of the address that it began as. */
  sql: { asked: string | undefined; text: string } | undefined
}

const nothing = (): Left => ({ addresses: new Map(), fleet: { top: 0, active: undefined }, sql: undefined })
export const left = nothing()

/** Whoever comes next finds nothing of it. */
export function forgetLeft(): void {
  Object.assign(left, nothing())
}
