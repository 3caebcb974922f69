// How wide the band around set-points is: as the address says it, so that a link shows the same, or else as this browser remembers it.
import { router } from '../state/router.svelte'
import { set, settings } from '../state/settings.svelte'
import { toleranceOf } from './bands'

/** In kelvins; 0 is none. */
export const band = (): number => toleranceOf(router.query.band ? Number(router.query.band) : settings.bandK)

/** Whoever chooses another one goes on with that. */
export function setBand(kelvins: number): void {
  set({ bandK: kelvins })
  router.set({ band: undefined })
}
