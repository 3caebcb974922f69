// What the settings ask of a browser, where there is none: they are those of somebody who has set nothing, by daylight.
Object.assign(globalThis, {
  matchMedia: () => ({ matches: false, addEventListener: () => undefined }),
  document: { documentElement: { dataset: {} } }
})
