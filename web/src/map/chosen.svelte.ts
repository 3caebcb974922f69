// The map's file that somebody has dropped or chosen: for this tab, until it is closed or they sign out. It stays on their computer.
import { appearance } from '../state/settings.svelte'

/** The file. What was read of it is let go with the map that shows it, and each map reads it anew. */
export const chosen = $state<{ file: File | undefined }>({ file: undefined })
let changes = $state(0)

/** From now on maps show this file; without one, what they showed before. */
export function showFile(file: File | undefined): void {
  chosen.file = file
  changes += 1
}

/** Another one where a map has to be opened anew: its ground is another. */
export const groundKey = (): string => `${appearance.isDark} ${changes}`
