// What people set for themselves, kept in their browser.

export interface Settings {
  theme: 'system' | 'light' | 'dark'
  units: 'metric' | 'imperial'
  /** A name such as `Europe/Berlin`, `UTC`, or `local`. */
  zone: string
  /** Of the pages about one vehicle: by the clocks of that zone, or by those where the vehicle is. */
  times: 'mine' | 'vehicle'
  /** The parameter that stands in the list of the fleet, or `first`: the first temperature of each device. */
  listValue: string
  /** The map that the server's configuration names, if it does, or the one that needs nobody. */
  map: 'server' | 'own'
  /** How far from its set-point a temperature may be, in kelvins: so wide the band in charts is. None, if it is 0. */
  bandK: number
}

const initial: Settings = { theme: 'system', units: 'metric', zone: 'local', times: 'mine', listValue: 'first', map: 'server', bandK: 2 }
const KEY = 'odograph.settings'

function stored(): Settings {
  try {
    return { ...initial, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Settings>) }
  } catch {
    return { ...initial }
  }
}

export const settings = $state<Settings>(stored())

const dark = matchMedia('(prefers-color-scheme: dark)')
export const appearance = $state({ isDark: dark.matches })

function apply(): void {
  appearance.isDark = settings.theme === 'dark' || (settings.theme === 'system' && dark.matches)
  document.documentElement.dataset.theme = appearance.isDark ? 'dark' : 'light'
}
dark.addEventListener('change', apply)

export function set(changes: Partial<Settings>): void {
  Object.assign(settings, changes)
  try {
    localStorage.setItem(KEY, JSON.stringify(settings))
  } catch {
    // A browser that keeps nothing forgets it with the tab.
  }
  apply()
}
apply()
